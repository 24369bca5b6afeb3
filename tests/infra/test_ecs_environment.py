"""What the task is told is what the service reads: the very environment of the task definition starts its settings."""

import json
from typing import Any

import pytest

from infra.components import container
from service import settings
from tests.infra.cloud_cases import program

CASES: dict[str, dict[str, Any]] = {
    "guide": {},
    "openai": {"generation": {"provider": "openai"}},
    "self-hosted": {
        "retrieval": {"qdrant": "self-hosted"},
        "documents": {"mongo": "self-hosted"},
        "cache": {"redis": "self-hosted"},
    },
    "bare": {
        "generation": {"provider": "none"},
        "queryModel": {"provider": "none"},
        "documents": {"mongo": "none"},
        "cache": {"redis": "none"},
        "retrieval": {"reranker": "none"},
    },
}


def told(**more: Any) -> dict[str, str]:
    """Names and values as the container would see them; each secret has some value."""
    (definition,) = json.loads(program("prod", **more).one("TaskDefinition").inputs["containerDefinitions"])
    plain = {each["name"]: each["value"] for each in definition["environment"]}
    return plain | {each["name"]: f"redis://{each['name']}" for each in definition["secrets"]}


@pytest.mark.parametrize("case", CASES)
def test_the_task_starts_the_services_settings(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = told(**CASES[case])
    for name in settings.environment_names():
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert environment.keys() <= settings.environment_names().keys()
    read = settings.load()
    assert (read.port, read.metrics_port) == (container.PORT, container.METRICS_PORT)
    assert read.deadline_s < read.graceful_s < container.STOP_TIMEOUT_S


def test_no_aws_credential_is_ever_among_them() -> None:
    assert not [name for name in told() if name.startswith("AWS_") and name != "AWS_REGION"]
