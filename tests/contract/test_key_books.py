"""The key book from where it is kept: as the stack writes it, and as Secrets Manager hands it out."""

from __future__ import annotations

import json
import secrets
from decimal import Decimal
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from infra.components.api_keys import SALT_BYTES, book, entry
from infra.config.access import ApiKey
from service.access.caller import Caller, Limits
from service.access.key_book import KeyBook
from service.access.opening import open_access
from service.errors import StartupError, Unauthenticated
from service.resilience import Breakers
from service.settings import Settings
from tests.fake_sagemaker import KEYS
from tests.hashed_keys import hashed, key_book
from tests.real_processes import Door

ARN = "arn:aws:secretsmanager:eu-north-1:000000000000:secret:rag/dev/apiKeys-x"


def test_the_service_reads_the_book_that_the_stack_writes() -> None:
    limited = ApiKey.model_validate({"requestsPerMinute": 5, "usdPerHour": "1.5"})
    salts = [secrets.token_hex(SALT_BYTES) for _ in range(2)]
    written = book([entry("app", "app-key", salts[0], limited), entry("ci", "ci-key", salts[1], ApiKey())])
    read = KeyBook.parse(written.encode())
    assert read.caller(b"app-key") == Caller("app", Limits(5, Decimal("1.5")))
    assert read.caller(b"ci-key") == Caller("ci", Limits())


class SecretsManager:
    """Speaks GetSecretValue; what it answers can be changed."""

    def __init__(self, value: str) -> None:
        self.status, self.body = 200, {"ARN": ARN, "Name": "apiKeys", "SecretString": value}
        self.asked: list[tuple[str, Any]] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> JSONResponse:
        self.asked.append((request.headers["x-amz-target"], await request.json()))
        return JSONResponse(self.body, self.status)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    return Settings(qdrant_url="http://unused", auth="api-keys", api_keys_from=ARN)


async def test_a_book_in_secrets_manager_is_read_by_its_arn(
    door: Door, told: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = SecretsManager(key_book(hashed("app", "app-key")))
    with door.opened(vault.app()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        async with open_access(told, Breakers()) as access:
            assert (await access.authentication.caller([(b"x-api-key", b"app-key")])).name == "app"
            with pytest.raises(Unauthenticated):
                await access.authentication.caller([(b"x-api-key", b"other")])
    assert vault.asked == [("secretsmanager.GetSecretValue", {"SecretId": ARN})]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, {"__type": "AccessDeniedException", "message": "no"}, "answered AccessDeniedException"),
        (400, {"__type": "ResourceNotFoundException", "message": "no"}, "answered ResourceNotFoundException"),
        (500, {}, "answered 500"),
        (200, {"ARN": ARN, "SecretBinary": "AAAA"}, "the secret holds no text"),
        (200, {"ARN": ARN, "SecretString": json.dumps({"default": "plain-key"})}, "is no usable key book"),
    ],
)
async def test_a_secret_that_can_not_be_read_says_why_and_lets_nobody_in(
    door: Door, told: Settings, monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, Any], reason: str
) -> None:
    vault = SecretsManager("")
    vault.status, vault.body = status, body
    with door.opened(vault.app()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        with pytest.raises(StartupError, match=f"RAG_API_KEYS_FROM: {ARN} .*{reason}") as refused:
            async with open_access(told, Breakers()):
                pass
    assert "plain-key" not in refused.value.detail


@pytest.mark.parametrize("arn", ["arn:", "arn:aws:s3:::bucket", "arn:aws:secretsmanager::1:secret:x"])
async def test_an_arn_of_something_else_is_refused_in_one_line(told: Settings, arn: str) -> None:
    with pytest.raises(StartupError, match="is no ARN of a secret"):
        async with open_access(told.model_copy(update={"api_keys_from": arn}), Breakers()):
            pass
