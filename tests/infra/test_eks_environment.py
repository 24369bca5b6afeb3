"""What the pods are told is what the service reads: the very ConfigMap starts its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.components import container
from infra.components.kube.service_pod import GRACE_S, PRE_STOP_S
from service import settings
from tests.infra.cloud_cases import program
from tests.infra.test_ecs_environment import CASES


def told(**more: Any) -> dict[str, str]:
    return dict(program("prod", topology="eks", **more).one("core/v1:ConfigMap").inputs["data"])


def fetched(arns: Mapping[str, str]) -> dict[str, str]:
    """Each secret has some value."""
    return {name: f"redis://{name}" for name in arns}


@pytest.mark.parametrize("case", CASES)
def test_the_pods_start_the_services_settings(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = told(**CASES[case])
    for name in settings.environment_names():
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert environment.keys() <= settings.environment_names().keys()
    read = settings.load(fetched)
    assert (read.port, read.metrics_port) == (container.PORT, container.METRICS_PORT)
    assert read.deadline_s < read.graceful_s
    assert read.graceful_s + PRE_STOP_S < GRACE_S
    for name in json.loads(environment.get("RAG_SECRETS_FROM", "{}")):
        assert getattr(read, settings.secret_names()[name]).get_secret_value() == f"redis://{name}"


def test_a_store_in_the_cluster_is_called_by_its_name_in_the_cluster() -> None:
    assert told(retrieval={"qdrant": "self-hosted"})["QDRANT_CLOUD_URL"].startswith("http://qdrant.rag-prod.svc.")


def test_no_aws_credential_and_no_secret_is_among_them() -> None:
    names = set(told())
    assert not [name for name in names if name.startswith("AWS_") and name != "AWS_REGION"]
    assert not names & settings.secret_names().keys()
