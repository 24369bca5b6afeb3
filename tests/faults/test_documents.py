"""F11 to F14: an author that was asked for is found or the request fails; one that was guessed is done without."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bson
import httpx
import pytest

from tests.fault_proxy import Down, Garbage, Timeout, Toxic
from tests.faults.deployment import ADA, PATIENCE_S, Cloud
from tests.real_processes import service

HEADER, FLAGS_AND_KIND = struct.Struct("<iiii"), struct.Struct("<iB")
NOT_PRIMARY, AUTHENTICATION_FAILED = 10107, 18
GREETINGS = {"isWritablePrimary", "ismaster"}
TOLD_S = 10.0


def answers_with(code: int) -> Callable[[bytes], bytes]:
    """What a MongoDB in that state says in place of the wire server's replies, its greeting excepted."""

    def written(data: bytes) -> bytes:
        length, reply, request, opcode = HEADER.unpack_from(data)
        document = bson.decode(data[HEADER.size + FLAGS_AND_KIND.size : length])
        if GREETINGS & set(document):
            return data
        refusal = bson.encode({"ok": 0.0, "code": code, "errmsg": "scripted", "codeName": "Scripted"})
        body = FLAGS_AND_KIND.pack(0, 0) + refusal
        return HEADER.pack(HEADER.size + len(body), reply, request, opcode) + body

    return written


def check(cloud: Cloud, figures: dict[str, float]) -> None:
    """The three kinds of questions while MongoDB fails."""
    nobody = cloud.ask()
    guessed = cloud.ask(f"What does {ADA} say about looms?")
    asked_for = [cloud.ask(path=path, filters={"author": ADA}) for path in ("/rag", "/search")]
    figures["told after s"] = max(reply.took_s for reply in asked_for)
    assert (nobody.status, nobody.body["degraded"]) == (200, [])
    assert (guessed.status, guessed.body["degraded"]) == (200, ["documents"])
    for reply in asked_for:
        assert (reply.status, reply.body.get("stage")) == (503, "documents"), reply.body
        assert not {"answer", "results", "sources"} & set(reply.body)
        assert reply.took_s < TOLD_S


@pytest.mark.parametrize(
    "toxic",
    [
        pytest.param(Down(), marks=pytest.mark.fault("F11"), id="down"),
        pytest.param(Timeout(), marks=pytest.mark.fault("F12"), id="hung"),
        pytest.param(Garbage(answers_with(NOT_PRIMARY)), marks=pytest.mark.fault("F13"), id="stepped down"),
    ],
)
def test_a_filter_is_never_widened(cloud: Cloud, toxic: Toxic, figures: dict[str, float]) -> None:
    with cloud.mongo.suffering(toxic):
        check(cloud, figures)
    figures["healed s"] = cloud.recovered(filters={"author": ADA})


@contextmanager
def with_a_password(cloud: Cloud) -> Iterator[Cloud]:
    """The same service, told a user and a password."""
    url = f"mongodb://rag:hunter2@127.0.0.1:{cloud.mongo.port}/"
    with (
        service(cloud.settings | {"DATABASE_HOST": url}) as running,
        httpx.Client(base_url=running.url, trust_env=False, timeout=PATIENCE_S) as http,
        cloud.mongo.suffering(Garbage(answers_with(AUTHENTICATION_FAILED))),
    ):
        yield Cloud(**(vars(cloud) | {"http": http}))


@pytest.mark.fault("F14")
def test_a_wrong_password_widens_nothing_and_is_not_shown(cloud: Cloud, figures: dict[str, float]) -> None:
    with with_a_password(cloud) as refused:
        check(refused, figures)
        detail = refused.ask(filters={"author": ADA}).body["detail"]
    assert "documents: MongoDB" in detail
    assert "hunter2" not in detail


def test_a_filter_that_works_returns_that_author_only(cloud: Cloud) -> None:
    reply = cloud.ask(path="/search", filters={"author": ADA}, topK=20)
    assert {result["author"] for result in reply.body["results"]} == {ADA}
