"""What the function is told starts the service's settings; what the adapter is told is the adapter's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.topologies.serverless import ADAPTER, ADAPTER_IN_IMAGE, ADAPTER_IN_ZIP
from service import settings
from tests.infra.cloud_cases import program
from tests.infra.test_ecs_environment import CASES


def told(**more: Any) -> dict[str, str]:
    made = program("prod", topology="lambda", **more).one("lambda/function:Function", "-function").inputs
    return dict(made["environment"]["variables"])


@pytest.mark.parametrize("case", CASES)
def test_the_function_starts_the_services_settings(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = told(**CASES[case])
    for name in (*settings.environment_names(), "RAG_SECRETS_FROM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for_adapter = {**ADAPTER, **ADAPTER_IN_IMAGE, **ADAPTER_IN_ZIP}.keys()
    assert environment.keys() - for_adapter <= settings.environment_names().keys()
    read = settings.load(lambda wanted: {name: f"redis://{name}" for name in wanted})
    assert (read.host, read.port, read.metrics_port) == ("127.0.0.1", int(ADAPTER["AWS_LWA_PORT"]), 0)
    assert read.emf_namespace == "rag-platform/prod"


@pytest.mark.parametrize("case", CASES)
def test_what_it_is_told_fits_with_room_for_longer_arns(case: str) -> None:
    environment = told(**CASES[case])
    longer = 60 * environment.get("RAG_SECRETS_FROM", "").count("arn:")
    assert sum(len(name) + len(value) for name, value in environment.items()) + longer < 4096  # AWS: 4 KB in all


def test_lambda_sets_the_region_itself() -> None:
    assert not [name for name in told() if name.startswith("AWS_") and not name.startswith("AWS_LWA_")]


def test_every_secret_is_one_that_the_service_reads_by_reference() -> None:
    for case in CASES.values():
        assert json.loads(told(**case).get("RAG_SECRETS_FROM", "{}")).keys() <= settings.secret_names().keys()
