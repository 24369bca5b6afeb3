"""Secrets by reference: read from Secrets Manager side by side, before anything else of the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service import settings
from service.errors import StartupError
from service.vault import fetch
from tests.fake_sagemaker import KEYS
from tests.real_processes import Door

ARN = "arn:aws:secretsmanager:eu-north-1:000000000000:secret:rag/dev/"


class SecretsManager:
    """Speaks GetSecretValue for what it holds; anything else does not exist."""

    def __init__(self, **held: str) -> None:
        self.held = held
        self.asked: list[str] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> JSONResponse:
        body: dict[str, Any] = await request.json()
        name = body["SecretId"].removeprefix(ARN)
        self.asked.append(name)
        if name not in self.held:
            return JSONResponse({"__type": "ResourceNotFoundException", "message": "no"}, 400)
        return JSONResponse({"ARN": body["SecretId"], "Name": name, "SecretString": self.held[name]})


@pytest.fixture
def kept(door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
    manager = SecretsManager(openai="planted-key", mongo="mongodb://u:planted@db")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    with door.opened(manager.app()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        yield manager


def test_settings_hold_what_the_references_lead_to(kept: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> None:
    referred = {"OPENAI_API_KEY": f"{ARN}openai", "DATABASE_HOST": f"{ARN}mongo"}
    told = {
        "QDRANT_CLOUD_URL": "https://q",
        "RAG_DOCUMENTS": "mongo",
        "RAG_QUERY_MODEL": "openai",
        "RAG_SECRETS_FROM": json.dumps(referred),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    read = settings.load(fetch)
    assert read.openai_api_key is not None
    assert read.mongo_url is not None
    assert read.openai_api_key.get_secret_value() == "planted-key"
    assert read.mongo_url.get_secret_value() == "mongodb://u:planted@db"
    assert sorted(kept.asked) == ["mongo", "openai"]


def test_every_secret_that_can_not_be_read_is_named_without_the_others_values(kept: SecretsManager) -> None:
    with pytest.raises(StartupError) as refused:
        fetch({name: f"{ARN}{name}" for name in ("openai", "lost", "gone")})
    assert refused.value.detail.startswith("RAG_SECRETS_FROM: lost (")
    assert "gone (" in refused.value.detail
    assert "ResourceNotFoundException; the role needs secretsmanager:GetSecretValue" in refused.value.detail
    assert "planted" not in refused.value.detail


def test_an_arn_of_something_else_is_refused_by_the_name_that_it_was_given_for() -> None:
    with pytest.raises(StartupError, match="RAG_SECRETS_FROM: OPENAI_API_KEY: arn:aws:s3:::bucket is no ARN"):
        fetch({"OPENAI_API_KEY": "arn:aws:s3:::bucket"})
