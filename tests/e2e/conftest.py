"""End-to-end tests need a cloud: the one on loopback, or official plugins with an endpoint; else they are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.conftest import library as library  # noqa: PLC0414 - a fixture
from tests.real_processes import nginx

# The emulator closes each connection with its answer. On a busy machine the provider may take that for a failure, and
# ask again for what was done; between it and nginx, connections are kept.
PASSED_ON = """
  proxy_set_header Host $http_host; client_max_body_size 0; client_body_buffer_size 64m;
  proxy_read_timeout 600s;
  keepalive_timeout 1h; keepalive_requests 1000000;
"""
REASON = "no cloud: run `make e2e` (the cloud on loopback), or set AWS_ENDPOINT_URL with Pulumi's AWS plugin installed"


def cloud_is_there() -> bool:
    if not os.environ.get("AWS_ENDPOINT_URL") or shutil.which("pulumi") is None:
        return False
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    return shutil.which("pulumi-resource-aws") is not None or any(home.glob("plugins/resource-aws-v*"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.pulumi)


@pytest.fixture(scope="session", autouse=True)
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if not cloud_is_there():
        if os.environ.get("CI") == "true":
            pytest.fail(REASON)
        pytest.skip(REASON)
    place = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    if place.hostname != "127.0.0.1" or place.port is None:
        yield
        return
    with (
        nginx(tmp_path_factory.mktemp("cloud"), place.port, more=PASSED_ON) as door,
        pytest.MonkeyPatch.context() as to,
    ):
        to.setenv("AWS_ENDPOINT_URL", door.url)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = [each for each in terminalreporter.stats.get("passed", []) if "tests/e2e/" in each.nodeid]
    terminalreporter.write_line(f"end-to-end tests run and passed: {len(passed)}")
