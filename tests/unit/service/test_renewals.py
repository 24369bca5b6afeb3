"""A rotated secret reaches what was opened with it, and cuts no answer off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from service.errors import StartupError
from service.parts import open_parts
from service.renewals import Renewals, rotating
from service.settings import Settings

OLD, NEW = SecretStr("old-secret"), SecretStr("new-secret")


class Vendor:
    """An adapter that answers slowly with the secret that it was opened with."""

    def __init__(self, secret: SecretStr) -> None:
        if secret.get_secret_value() == "useless":
            raise StartupError("RAG_REDIS_URL is no Redis URL")
        self.secret = secret
        self.closed = False

    async def answer(self, until: asyncio.Event) -> str:
        await until.wait()
        assert not self.closed
        return self.secret.get_secret_value()

    async def aclose(self) -> None:
        self.closed = True


async def test_what_was_opened_with_a_secret_is_opened_anew_and_answers_in_flight_end_with_the_old_one() -> None:
    opened: list[Vendor] = []

    def open_(secret: SecretStr) -> Vendor:
        opened.append(Vendor(secret))
        return opened[-1]

    renewals, until = Renewals(linger_s=0.05), asyncio.Event()
    vendor = renewals.open("openai_api_key", OLD, open_)
    before = asyncio.create_task(vendor.answer(until))
    await asyncio.sleep(0)
    renewals.renew({"openai_api_key": NEW})
    after = asyncio.create_task(vendor.answer(until))
    until.set()
    assert (await before, await after) == ("old-secret", "new-secret")
    while not opened[0].closed:  # once nothing of it can be under way any more
        await asyncio.sleep(0.01)
    assert not opened[1].closed
    await vendor.aclose()
    assert opened[1].closed


async def test_only_what_uses_the_secret_is_opened_anew() -> None:
    renewals = Renewals(linger_s=0)
    vendor = renewals.open("openai_api_key", OLD, Vendor)
    renewals.renew({"redis_url": NEW})
    assert vendor.secret is OLD
    await vendor.aclose()


async def test_a_secret_of_no_use_changes_nothing_and_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    renewals = Renewals(linger_s=0)
    vendor = renewals.open("redis_url", OLD, Vendor)
    with caplog.at_level(logging.WARNING):
        renewals.renew({"redis_url": SecretStr("useless")})
    assert vendor.secret is OLD
    assert "the new redis_url is of no use, the last good one holds" in caplog.text
    assert "useless" not in caplog.text.replace("of no use", "")
    await vendor.aclose()


async def test_closing_closes_what_was_to_be_closed_later_too() -> None:
    opened: list[Vendor] = []

    def open_(secret: SecretStr) -> Vendor:
        opened.append(Vendor(secret))
        return opened[-1]

    renewals = Renewals(linger_s=3600)
    vendor = renewals.open("redis_url", OLD, open_)
    renewals.renew({"redis_url": NEW})
    await asyncio.sleep(0)
    await vendor.aclose()
    assert [each.closed for each in opened] == [True, True]


def told(**more: object) -> Settings:
    return Settings.model_validate(
        {
            "qdrant_url": "https://127.0.0.1:1",
            "openai_api_key": OLD,
            "secrets_from": {"OPENAI_API_KEY": "arn:a"},
            "secrets_ttl_s": 0.01,
            **more,
        }
    )


async def test_secrets_are_read_again_and_a_change_is_carried_in() -> None:
    kept = {"OPENAI_API_KEY": "old-secret"}
    asked: list[Mapping[str, str]] = []

    def fetch(arns: Mapping[str, str]) -> Mapping[str, str]:
        asked.append(arns)
        return kept

    renewals = Renewals(linger_s=0)
    vendor = renewals.open("openai_api_key", OLD, Vendor)
    async with rotating(told(), fetch, renewals):
        while len(asked) < 3:
            await asyncio.sleep(0.01)
        assert vendor.secret is OLD  # the same value: nothing was opened anew
        kept["OPENAI_API_KEY"] = "new-secret"
        while vendor.secret is OLD:
            await asyncio.sleep(0.01)
    assert vendor.secret.get_secret_value() == "new-secret"
    assert asked[0] == {"OPENAI_API_KEY": "arn:a"}
    await vendor.aclose()


async def test_a_source_that_is_down_leaves_the_last_value(caplog: pytest.LogCaptureFixture) -> None:
    asked = 0

    def fetch(_: Mapping[str, str]) -> Mapping[str, str]:
        nonlocal asked
        asked += 1
        raise StartupError("RAG_SECRETS_FROM: OPENAI_API_KEY (arn:a) can't be read")

    renewals = Renewals(linger_s=0)
    vendor = renewals.open("openai_api_key", OLD, Vendor)
    with caplog.at_level(logging.WARNING):
        async with rotating(told(), fetch, renewals):
            while asked < 2:
                await asyncio.sleep(0.01)
    assert vendor.secret is OLD
    assert "a secret can't be read, the last good one holds" in caplog.text
    await vendor.aclose()


async def test_every_backend_that_has_a_secret_is_opened_through_renewals() -> None:
    """A secret that was added to the settings and is opened past them would need a restart to rotate."""
    settings = told(
        qdrant_api_key=OLD,
        documents="mongo",
        mongo_url=SecretStr("mongodb://u:old@127.0.0.1:1"),
        query_model="openai",
        generator="openai",
        cache="redis",
        redis_url=SecretStr("redis://:old@127.0.0.1:1"),
    )
    renewals = Renewals(linger_s=0)
    async with open_parts(settings, renewals=renewals) as parts:
        inner = [part.inner for part in (parts.store, parts.documents, parts.query_model, parts.generator, parts.cache)]  # type: ignore[union-attr]
        before = [each._inner for each in inner]  # type: ignore[union-attr]
        renewals.renew(
            {
                "qdrant_api_key": NEW,
                "mongo_url": SecretStr("mongodb://u:new@127.0.0.1:1"),
                "openai_api_key": NEW,
                "redis_url": SecretStr("redis://:new@127.0.0.1:1"),
            }
        )
        assert all(each._inner is not old for each, old in zip(inner, before, strict=True))  # type: ignore[union-attr]
