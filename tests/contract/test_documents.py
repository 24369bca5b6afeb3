from __future__ import annotations

import asyncio
import gc
import socket
import socketserver
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import bson
import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient

from service.adapters.faiss_index import BundleAuthors
from service.adapters.mongo import MongoDocuments
from service.errors import StageUnavailable, StartupError
from service.ports import Documents
from tests.contract.conftest import Library
from tests.contract.contracts import DocumentsContract
from tests.real_processes import Running, free_port

NAMES = ("Ada Lovelace", "Alan Turing", "Grace Hopper")
OP_MSG = 2013

# The driver leaks the socket of a monitor that is closed while it connects.
driver_leaks = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def documents(url: str, *, database: str = "rag", connections: int = 5, timeout_s: float = 2.0) -> MongoDocuments:
    return MongoDocuments.open(SecretStr(url), database=database, connections=connections, timeout_s=timeout_s)


def url_of(server: Running) -> str:
    return f"mongodb://127.0.0.1:{server.port}/"


@pytest.fixture
async def users(mongo: Running) -> AsyncIterator[object]:
    async with AsyncMongoClient(url_of(mongo)) as client:
        collection = client["rag"]["users"]
        await collection.delete_many({})
        await collection.insert_many([{"fullName": name} for name in NAMES])
        yield collection


class TestMongo(DocumentsContract):
    @pytest.fixture
    async def documents(self, mongo: Running, users: object) -> AsyncIterator[Documents]:
        async with aclosing(documents(url_of(mongo))) as adapter:
            yield adapter


class TestBundleAuthors(DocumentsContract):
    @pytest.fixture
    def documents(self, library: Library) -> Documents:
        return BundleAuthors(library.home)


async def test_ids_are_strings_whatever_their_type_and_all_namesakes_count(mongo: Running, users: object) -> None:
    await users.insert_many([{"_id": 7, "fullName": "Jo  Doe "}, {"_id": "u-8", "fullName": "jo doe"}])  # type: ignore[attr-defined]
    async with aclosing(documents(url_of(mongo))) as adapter:
        assert sorted(await adapter.author_ids("Jo Doe")) == ["7", "u-8"]
        assert [len(one) for one in await adapter.author_ids("Grace Hopper")] == [24]  # an ObjectId in hex


async def test_connections_stay_within_the_pool_under_load(mongo: Running, users: object) -> None:
    before, peak = mongo.connections(), 0
    async with aclosing(documents(url_of(mongo), connections=4, timeout_s=20)) as adapter:
        calls = [asyncio.create_task(adapter.author_ids("Ada Lovelace")) for _ in range(60)]
        while not all(call.done() for call in calls):
            peak = max(peak, mongo.connections() - before)
            await asyncio.sleep(0.005)
        assert all(len(call.result()) == 1 for call in calls)
    assert 1 < peak <= 4 + 2  # the pool, and the driver's two monitors of the server


@driver_leaks
async def test_an_absent_server_is_an_unavailable_stage_in_time() -> None:
    async with aclosing(documents(f"mongodb://127.0.0.1:{free_port()}/", timeout_s=0.3)) as adapter:
        for call in (adapter.author_ids("Ada Lovelace"), adapter.ping()):
            async with asyncio.timeout(2):
                with pytest.raises(StageUnavailable, match="documents: MongoDB gave no answer"):
                    await call
    await collected()


class Refusing(socketserver.BaseRequestHandler):
    """Says hello as a MongoDB does, and refuses every password; the wire server above asks for none."""

    def handle(self) -> None:
        while header := self.request.recv(16):
            length, request, _, _ = struct.unpack("<iiii", header)
            body = self.request.recv(length - 16, socket.MSG_WAITALL)
            size = struct.unpack_from("<i", body, 5)[0]
            command = bson.decode(body[5 : 5 + size])
            answer: dict[str, object] = {"ok": 0, "code": 18, "errmsg": "Authentication failed.", "codeName": "no"}
            if {"hello", "ismaster", "isMaster", "isWritablePrimary"} & set(command):
                answer = {
                    "ok": 1,
                    "ismaster": True,
                    "isWritablePrimary": True,
                    "maxWireVersion": 25,
                    "minWireVersion": 0,
                }
            packed = bson.encode(answer)
            packed = struct.pack("<iB", 0, 0) + packed
            self.request.sendall(struct.pack("<iiii", 16 + len(packed), 0, request, OP_MSG) + packed)


@driver_leaks
async def test_a_refused_password_says_what_to_correct() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"mongodb://rag:hunter2@127.0.0.1:{server.server_address[1]}/"
        async with aclosing(documents(url)) as adapter:
            for call in (adapter.author_ids("Ada Lovelace"), adapter.ping()):
                with pytest.raises(StageUnavailable, match="correct DATABASE_HOST") as refused:
                    await call
                assert "hunter2" not in refused.value.detail
        await collected()
        server.shutdown()


@pytest.mark.parametrize("url", ["http://x", "mongodb://a:hunter2@b:c@d/", "mongodb://"])
async def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StartupError, match="DATABASE_HOST is no MongoDB URL") as refused:
        documents(url)
    assert "hunter2" not in refused.value.detail


async def collected() -> None:
    """Let the driver's cancelled tasks end, and their garbage be found within the test that made it."""
    await asyncio.sleep(0.05)
    gc.collect()
