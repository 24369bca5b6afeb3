from __future__ import annotations

import json
from decimal import Decimal

import pytest

from service import settings
from service.errors import StartupError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.environment_names():
        monkeypatch.delenv(name, raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> settings.Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings.load()


def test_the_guides_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = load(
        monkeypatch,
        QDRANT_CLOUD_URL="https://qdrant.example",
        QDRANT_APIKEY="planted-q",
        OPENAI_API_KEY="planted-o",
        OPENAI_MODEL_ID="gpt-x",
        DATABASE_HOST="mongodb://db",
        SAGEMAKER_ENDPOINT_INFERENCE="twin",
        AWS_REGION="eu-north-1",
        RAG_GENERATOR="sagemaker",
    )
    assert (read.qdrant_url, read.openai_model_id) == ("https://qdrant.example", "gpt-x")
    assert (read.sagemaker_endpoint, read.aws_region) == ("twin", "eu-north-1")


def test_secrets_never_show_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    read = load(
        monkeypatch, QDRANT_CLOUD_URL="https://q", QDRANT_APIKEY="planted-q", DATABASE_HOST="mongodb://u:planted-p@h"
    )
    assert "planted" not in repr(read)
    assert "planted" not in read.model_dump_json()


def test_every_mistake_is_reported_at_once_by_its_environment_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartupError) as caught:
        load(monkeypatch, RAG_PORT="99999", RAG_TOP_K="0", RAG_VECTOR_STORE="chroma")
    assert "\n" not in str(caught.value)
    for name in ("RAG_PORT", "RAG_TOP_K", "RAG_VECTOR_STORE"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, "QDRANT_CLOUD_URL"),
        ({"RAG_VECTOR_STORE": "faiss"}, "RAG_BUNDLE_DIR"),
        ({"RAG_VECTOR_STORE": "faiss", "RAG_BUNDLE_DIR": "b", "RAG_GENERATOR": "llamacpp"}, "RAG_LLAMACPP_URL"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_GENERATOR": "sagemaker"}, "SAGEMAKER_ENDPOINT_INFERENCE"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_QUERY_MODEL": "openai"}, "OPENAI_API_KEY"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_DOCUMENTS": "mongo"}, "DATABASE_HOST"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_CACHE": "redis"}, "RAG_REDIS_URL"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_AUTH": "api-keys"}, "RAG_API_KEYS_FROM"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_AUTH": "oidc", "RAG_OIDC_AUDIENCE": "rag"}, "RAG_OIDC_ISSUER"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_AUTH": "oidc", "RAG_OIDC_ISSUER": "https://i"}, "RAG_OIDC_AUDIENCE"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_RERANKER": "onnx"}, "RAG_RERANKER_MODEL"),
        ({"QDRANT_CLOUD_URL": "https://q", "RAG_FALLBACK": "service"}, "RAG_FALLBACK_URL"),
    ],
)
def test_a_backend_without_its_address_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], missing: str
) -> None:
    with pytest.raises(StartupError, match=f"{missing} is required by"):
        load(monkeypatch, **environment)


ARN = "arn:aws:secretsmanager:eu-north-1:000000000000:secret:rag/dev/"


def test_a_secret_may_be_given_by_where_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    referred = {"OPENAI_API_KEY": f"{ARN}openai", "RAG_REDIS_URL": f"{ARN}redis"}
    monkeypatch.setenv("QDRANT_CLOUD_URL", "https://q")
    monkeypatch.setenv("RAG_CACHE", "redis")  # whose address is among them
    monkeypatch.setenv("OPENAI_API_KEY", "in the environment")
    monkeypatch.setenv("RAG_SECRETS_FROM", json.dumps(referred))
    read = settings.load(lambda arns: {name: f"value of {arn}" for name, arn in arns.items()})
    assert {name: getattr(read, settings.secret_names()[name]).get_secret_value() for name in referred} == {
        name: f"value of {arn}" for name, arn in referred.items()
    }
    assert "value of" not in repr(read)


@pytest.mark.parametrize(
    ("references", "reason"),
    [
        ("{", "is no JSON object"),
        ("[]", "valid dictionary"),
        ('{"RAG_PORT": "arn:"}', "RAG_PORT: no secret's name; legal: .*OPENAI_API_KEY"),
        ('{"OPENAI_API_KEY": null}', "valid string"),
    ],
)
def test_references_that_lead_nowhere_are_refused(
    monkeypatch: pytest.MonkeyPatch, references: str, reason: str
) -> None:
    with pytest.raises(StartupError, match=f"RAG_SECRETS_FROM: .*{reason}"):
        load(monkeypatch, QDRANT_CLOUD_URL="https://q", RAG_SECRETS_FROM=references)


def test_collections_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, QDRANT_CLOUD_URL="https://q", RAG_COLLECTIONS="posts, repos").collections == (
        "posts",
        "repos",
    )


def test_no_aws_credential_is_a_setting() -> None:
    assert not [name for name in settings.environment_names() if "ACCESS_KEY" in name or "SECRET_" in name]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"QDRANT_CLOUD_URL": "notaurl"}, "QDRANT_CLOUD_URL: .*valid URL"),
        ({"RAG_LLAMACPP_URL": "http://x:abc"}, "RAG_LLAMACPP_URL: .*invalid port"),
        ({"RAG_COLLECTIONS": "posts,posts"}, "RAG_COLLECTIONS: .*names a collection twice"),
        ({"RAG_COLLECTIONS": ","}, "RAG_COLLECTIONS: .*at least 1 item"),
        ({"RAG_TOP_K": "21"}, "RAG_TOP_K: .*less than or equal to 20"),
        ({"RAG_DOCUMENTS": "bundle"}, "RAG_BUNDLE_DIR is required by RAG_DOCUMENTS=bundle"),
        (
            {"RAG_SERVED_BY": "edge", "RAG_QUERY_MODEL": "openai", "OPENAI_API_KEY": "k", "RAG_FALLBACK": "sagemaker"},
            "RAG_PRIVACY=local-only lets no query leave: set RAG_QUERY_MODEL=none, RAG_FALLBACK=none",
        ),
        ({"RAG_CORS_ORIGINS": "https://a.example/path"}, "RAG_CORS_ORIGINS: .*match pattern"),
        ({"RAG_CORS_ORIGINS": "null"}, "RAG_CORS_ORIGINS: .*match pattern"),
        ({"RAG_GENERATION_USD_PER_MTOK": "1"}, "RAG_GENERATION_USD_PER_MTOK: .*Field required"),
        ({"RAG_GENERATION_USD_PER_MTOK": "1,2,3"}, "RAG_GENERATION_USD_PER_MTOK: .*at most 2"),
        ({"RAG_QUERY_MODEL_USD_PER_MTOK": "-1,2"}, "RAG_QUERY_MODEL_USD_PER_MTOK: .*greater than or equal to 0"),
        ({"RAG_USD_PER_HOUR": "0"}, "RAG_USD_PER_HOUR: .*greater than 0"),
        ({"RAG_HOST": "0.0.0.0"}, "RAG_AUTH must be said where RAG_HOST is not a loopback address"),  # noqa: S104
        ({"RAG_HOST": "service.internal"}, "RAG_AUTH must be said where RAG_HOST is not a loopback address"),
        ({"RAG_DEADLINE_S": "120"}, "RAG_GRACEFUL_S must be 2 s or more above RAG_DEADLINE_S"),
    ],
)
def test_what_could_not_work_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], reason: str
) -> None:
    with pytest.raises(StartupError, match=reason):
        load(monkeypatch, **({"QDRANT_CLOUD_URL": "https://q"} | environment))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_on_loopback_nobody_need_say_who_may_call(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert load(monkeypatch, QDRANT_CLOUD_URL="https://q", RAG_HOST=host).auth is None


def test_prices_and_origins_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"RAG_GENERATION_USD_PER_MTOK": "0.15, 0.6", "RAG_CORS_ORIGINS": "https://a.example, http://localhost:3000"}
    read = load(monkeypatch, QDRANT_CLOUD_URL="https://q", **told)
    assert read.generation_usd_per_mtok == (Decimal("0.15"), Decimal("0.6"))
    assert read.cors_origins == ("https://a.example", "http://localhost:3000")
