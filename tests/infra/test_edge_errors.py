"""How an EdgeError reaches the operator through Pulumi's dynamic host."""

from __future__ import annotations

import sys
import traceback
from types import ModuleType

import pytest

from infra.edge.errors import EdgeError, report_in_one_line


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for `pulumi.dynamic.__main__`, which starts a server when it is imported."""
    host = ModuleType("__main__")
    host.traceback = traceback  # type: ignore[attr-defined]
    host.DynamicResourceProviderServicer = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", host)
    return host


def reported(host: ModuleType, error: Exception) -> str:
    try:
        raise error
    except type(error):
        text: str = host.traceback.format_exc()
        return text


def test_an_edge_error_is_its_message(host: ModuleType) -> None:
    report_in_one_line()
    report_in_one_line()
    assert reported(host, EdgeError("port 8080 is taken")) == "port 8080 is taken"


def test_any_other_error_keeps_its_traceback(host: ModuleType) -> None:
    report_in_one_line()
    assert reported(host, ValueError("a bug")).startswith("Traceback")


def test_another_host_is_left_alone(host: ModuleType) -> None:
    del host.DynamicResourceProviderServicer  # type: ignore[attr-defined]
    report_in_one_line()
    assert host.traceback is traceback
