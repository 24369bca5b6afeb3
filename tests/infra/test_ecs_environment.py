"""What the task is told is what the service reads: the very environment of the task definition starts its settings."""

import json
from decimal import Decimal
from typing import Any

import pytest

from infra.components import container
from opsctl.endpoint.names import Names
from service import settings
from service.prices import Prices
from tests.infra.cloud_cases import program

CASES: dict[str, dict[str, Any]] = {
    "guide": {},
    "openai": {"generation": {"provider": "openai"}},
    "self-hosted": {
        "retrieval": {"qdrant": "self-hosted"},
        "documents": {"mongo": "self-hosted"},
        "cache": {"redis": "self-hosted"},
    },
    "oidc": {"access": {"auth": "oidc", "oidc": {"issuer": "https://id.example.com", "audience": "rag"}}},
    "watched": {
        "service": {"maxInFlight": 8},
        "access": {"usdPerHour": 2, "corsOrigins": ["https://chat.example.com"]},
        "generation": {"usdPerMtok": {"input": 0.25, "output": 0.75}},
        "queryModel": {"usdPerMtok": {"input": 0.15, "output": 0.6}},
        "monitoring": {"opik": True, "opikWorkspace": "team", "otlpEndpoint": "http://collector.example.com:4318"},
        "secrets": {"opikApiKey": {"secure": "planted-opik"}},
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


def test_a_key_of_the_stack_config_reaches_the_setting_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in told(**CASES["watched"]).items():
        monkeypatch.setenv(name, value)
    read = settings.load()
    assert (read.auth, read.requests_per_minute, read.usd_per_hour) == ("api-keys", 60, 2)
    assert read.api_keys_from is not None
    assert read.api_keys_from.startswith("arn:aws:secretsmanager:")
    assert (read.switches_from, read.emf_namespace) == ("ssm:/rag/prod/switches", "rag-platform/prod")
    assert (read.max_in_flight, read.cors_origins) == (8, ("https://chat.example.com",))
    assert (read.otlp_endpoint, read.opik_workspace) == ("http://collector.example.com:4318", "team")
    assert read.generation_usd_per_mtok == (Decimal("0.25"), Decimal("0.75"))
    assert Prices.of(read).missing(read) == []
    assert (read.opik_project, read.opik_api_key is not None) == ("rag-platform-prod", True)


def test_oidc_needs_no_key_book(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in told(**CASES["oidc"]).items():
        monkeypatch.setenv(name, value)
    read = settings.load()
    assert (read.auth, read.oidc_issuer, read.oidc_audience) == ("oidc", "https://id.example.com", "rag")
    assert read.api_keys_from is None


def test_no_aws_credential_is_ever_among_them() -> None:
    assert not [name for name in told() if name.startswith("AWS_") and name != "AWS_REGION"]


def test_an_endpoint_that_scales_to_zero_is_called_by_the_component_that_opsctl_makes() -> None:
    assert "RAG_SAGEMAKER_COMPONENT" not in told()
    environment = told(generation={"scaling": {"min": 0, "max": 1}})
    assert environment["RAG_SAGEMAKER_COMPONENT"] == Names(environment["SAGEMAKER_ENDPOINT_INFERENCE"]).component
