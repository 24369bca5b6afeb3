"""The environment that infra sets is the one that the service reads, in all four topologies."""

from __future__ import annotations

import os
from typing import Any, get_args

import pytest

from infra.config import StackConfig, Topology, parse
from infra.service_environment import ServiceEnvironment, Wiring, service_environment
from infra.topologies.hybrid import edge_environment
from service.settings import Settings, environment_names
from tests.infra.mocked_program import stack_file

KEYS = "arn:aws:secretsmanager:eu-north-1:111122223333:secret:rag/dev/apiKeys-x"


def configured(topology: str, **sections: Any) -> StackConfig:
    config = {
        **stack_file("dev"),
        "rag-platform:topology": topology,
        "rag-platform:retrieval": {"url": "https://vectors.example.com", "reranker": "none"},
        "rag-platform:secrets": {name: {"secure": "v1:x"} for name in ("openaiApiKey", "qdrantApiKey", "mongoUrl")},
        **{f"rag-platform:{name}": value for name, value in sections.items()},
    }
    return parse(config, stack="dev")


def environment(topology: str, **sections: Any) -> ServiceEnvironment:
    cfg = configured(topology, **sections)
    if topology == "hybrid":
        return edge_environment(cfg, "bundle")
    wiring = Wiring(
        host="10.0.0.1",
        port=8000,
        metrics_port=9090,
        release="r1",
        redis_url="rediss://cache:6379",
        api_keys_from=KEYS,
    )
    return service_environment(cfg, wiring)


def read_by_the_service(found: ServiceEnvironment, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in (*environment_names(), *os.environ):
        if name.startswith(("RAG_", "AWS_", "QDRANT_", "DATABASE_", "OPENAI_", "SAGEMAKER_")):
            monkeypatch.delenv(name, raising=False)
    for name, value in {**found.plain, **dict.fromkeys(found.secrets, "secret")}.items():
        monkeypatch.setenv(name, str(value))
    return Settings()


@pytest.mark.parametrize("topology", get_args(Topology))
def test_every_name_is_read_and_no_required_one_is_missing(topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(topology)
    assert {*found.plain, *found.secrets} <= set(environment_names())
    settings = read_by_the_service(found, monkeypatch)
    assert settings.served_by == ("edge" if topology == "hybrid" else "cloud")


@pytest.mark.parametrize("topology", get_args(Topology))
def test_no_secret_and_no_credential_is_among_the_plain_values(topology: str) -> None:
    found = environment(topology)
    assert not {"OPENAI_API_KEY", "QDRANT_APIKEY", "RAG_FALLBACK_API_KEY"} & set(found.plain)
    assert not [name for name in found.plain if name.startswith("AWS_") and name != "AWS_REGION"]


@pytest.mark.parametrize("topology", ["ecs", "eks", "lambda"])
def test_only_an_edge_is_told_how_long_it_may_drain(topology: str) -> None:
    assert "RAG_GRACEFUL_S" not in environment(topology).plain
    assert "RAG_GRACEFUL_S" in environment("hybrid").plain


@pytest.mark.parametrize("topology", ["ecs", "eks", "lambda"])
def test_a_cloud_service_is_told_who_may_call(topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_by_the_service(environment(topology), monkeypatch)
    assert (settings.auth, settings.requests_per_minute) == ("api-keys", 60)
    assert settings.api_keys_from == KEYS
    by_token = {
        "insecureHttp": True,
        "auth": "oidc",
        "oidc": {"issuer": "https://login.example.com/", "audience": "rag"},
    }
    settings = read_by_the_service(environment(topology, access=by_token), monkeypatch)
    assert (settings.auth, settings.api_keys_from) == ("oidc", None)
    assert (settings.oidc_issuer, settings.oidc_audience) == ("https://login.example.com/", "rag")


def test_an_edge_on_loopback_asks_for_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_by_the_service(environment("hybrid"), monkeypatch)
    assert (settings.auth, settings.requests_per_minute) == ("none", None)


def test_lambda_sets_its_region_itself() -> None:
    assert "AWS_REGION" not in environment("lambda").plain
    assert environment("ecs").plain["AWS_REGION"] == "eu-north-1"


def test_a_cloud_stage_names_where_its_secret_is_kept() -> None:
    assert environment("ecs").secrets == {
        "OPENAI_API_KEY": "openaiApiKey",
        "QDRANT_APIKEY": "qdrantApiKey",
        "DATABASE_HOST": "mongoUrl",
    }


def test_the_edge_has_its_own_deadline_and_needs_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    found = edge_environment(parse(stack_file("local"), stack="local"), "bundle")
    settings = read_by_the_service(found, monkeypatch)
    assert settings.deadline_s == 120
    assert settings.graceful_s == 125
    assert settings.privacy == "local-only"
    assert settings.vector_store == "faiss"
    assert found.secrets == {}
