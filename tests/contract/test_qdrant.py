from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

import pytest
from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient, models
from starlette.responses import JSONResponse, PlainTextResponse

from service.adapters.faiss_index import FaissStore
from service.adapters.qdrant import QdrantStore
from service.errors import StageUnavailable, StartupError, UpstreamThrottled
from service.ports import VectorStore
from tests.contract.conftest import COLLECTIONS, Library
from tests.contract.contracts import VectorStoreContract
from tests.fake_qdrant import FakeQdrant
from tests.real_processes import Door, HttpServer, free_port

CONNECTIONS = 4


async def fill(client: AsyncQdrantClient, library: Library) -> None:
    for name in COLLECTIONS:
        size, distance = library.vectors.shape[1], models.Distance.COSINE
        await client.create_collection(name, vectors_config=models.VectorParams(size=size, distance=distance))
        points = [
            models.PointStruct(
                id=chunk.id,
                vector=vector.tolist(),
                payload={
                    "author_id": chunk.author,
                    "author": chunk.author,
                    "title": chunk.title,
                    "url": chunk.url,
                    "text": chunk.text,
                    "secret": "x" * 1000,
                },
            )
            for chunk, vector in zip(library.chunks, library.vectors, strict=True)
            if chunk.collection == name
        ]
        await client.upsert(name, points)


class TestFaiss(VectorStoreContract):
    @pytest.fixture
    def store(self, library: Library) -> Iterator[VectorStore]:
        adapter = FaissStore.open(library.home, library.embedder, embedder_sha256=library.embedder.sha256)
        yield adapter
        adapter.close()


class TestQdrantOverHttp(VectorStoreContract):
    @pytest.fixture
    def store(self, served: QdrantStore) -> VectorStore:
        return served


@pytest.fixture
async def fake() -> FakeQdrant:
    return FakeQdrant()


@pytest.fixture
def server(fake: FakeQdrant, door: Door) -> Iterator[HttpServer]:
    with door.opened(fake.app()) as running:
        yield running


def open_store(url: str, *, collections: Sequence[str] = COLLECTIONS, dimension: int = 384) -> QdrantStore:
    return QdrantStore.open(
        url, api_key=None, collections=collections, dimension=dimension, connections=CONNECTIONS, timeout_s=5
    )


@pytest.fixture
async def served(fake: FakeQdrant, server: HttpServer, library: Library) -> AsyncIterator[QdrantStore]:
    """The adapter over HTTP, in front of a filled fake."""
    await fill(fake.store, library)
    async with aclosing(open_store(server.url)) as adapter:
        yield adapter


async def test_what_a_client_writes_over_http_is_found(server: HttpServer, library: Library) -> None:
    client = AsyncQdrantClient(server.url, check_compatibility=False)
    await fill(client, library)
    await client.close()
    async with aclosing(open_store(server.url)) as adapter:
        [[hit]] = await adapter.search(library.vectors[:1], collections=COLLECTIONS, limit=1)
        assert hit.id == library.chunks[0].id


async def test_all_vectors_go_in_one_request_per_collection(
    served: QdrantStore, fake: FakeQdrant, library: Library
) -> None:
    await served.search(library.vectors[:4], collections=COLLECTIONS, limit=3)
    assert sorted(path for _, path, _ in fake.requests) == sorted(
        f"/collections/{name}/points/query/batch" for name in COLLECTIONS
    )
    [body] = fake.sent_to("/collections/posts/points/query/batch")
    assert len(body["searches"]) == 4
    assert body["searches"][0]["with_payload"] == ["author", "title", "url", "text"]
    assert not body["searches"][0].get("with_vector")


async def test_collections_are_searched_concurrently(served: QdrantStore, fake: FakeQdrant, library: Library) -> None:
    await served.search(library.vectors[:1], collections=COLLECTIONS, limit=1)
    fake.delays_s = dict(zip(COLLECTIONS, (0.3, 0.5, 0.4), strict=True))
    began = time.monotonic()
    await served.search(library.vectors[:4], collections=COLLECTIONS, limit=3)
    assert time.monotonic() - began <= 1.2 * 0.5


async def test_the_filter_is_on_ids_not_on_names(served: QdrantStore, fake: FakeQdrant, library: Library) -> None:
    posts = [chunk.id for chunk in library.chunks if chunk.collection == "posts"]
    await fake.store.set_payload("posts", {"author_id": "u-1"}, points=posts[:1])
    [hits] = await served.search(library.vectors[:1], collections=("posts",), limit=5, authors=["u-1"])
    assert [hit.id for hit in hits] == posts[:1]


async def test_connections_stay_within_the_pool_and_are_used_again(
    served: QdrantStore, server: HttpServer, library: Library
) -> None:
    before = server.accepted
    searching = (served.search(library.vectors[:1], collections=COLLECTIONS, limit=1) for _ in range(30))
    found = await asyncio.gather(*searching)
    assert all(len(lists[0]) == 1 for lists in found)
    assert 1 < server.accepted - before <= CONNECTIONS


@pytest.mark.parametrize("change", ["point", "metadata"])
async def test_the_version_changes_with_the_content(
    served: QdrantStore, fake: FakeQdrant, library: Library, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await served.version()
    if change == "point":
        points = [models.PointStruct(id=1, vector=library.vectors[0].tolist(), payload={})]
        await fake.store.upsert("repos", points)
    else:
        await fake.store.update_collection("repos", metadata={"indexVersion": "2"})
    assert await served.version() == before  # not asked again for a few seconds
    monkeypatch.setattr(served, "_version_ends", 0.0)
    assert await served.version() != before


async def test_a_hundred_callers_ask_for_the_version_once(served: QdrantStore, fake: FakeQdrant) -> None:
    assert len(set(await asyncio.gather(*(served.version() for _ in range(100))))) == 1
    assert len(fake.requests) == len(COLLECTIONS)


async def test_a_missing_collection_is_named(served: QdrantStore, server: HttpServer, library: Library) -> None:
    with pytest.raises(StageUnavailable, match="retrieval: collection nope does not exist; ingest it"):
        await served.search(library.vectors[:1], collections=("posts", "nope"), limit=1)
    async with aclosing(open_store(server.url, collections=("posts", "nope"))) as other:
        for call in (other.version, other.ping):
            with pytest.raises(StageUnavailable, match="collection nope does not exist"):
                await call()


@pytest.mark.parametrize(
    ("config", "dimension", "message"),
    [
        (models.VectorParams(size=384, distance=models.Distance.EUCLID), 384, "384-D vectors under Euclid"),
        (models.VectorParams(size=384, distance=models.Distance.COSINE), 768, "needs 768-D under Cosine"),
        ({"a": models.VectorParams(size=384, distance=models.Distance.COSINE)}, 384, "no single unnamed vector"),
    ],
)
async def test_ping_refuses_a_collection_that_can_not_be_searched(
    fake: FakeQdrant, server: HttpServer, config: models.VectorParams, dimension: int, message: str
) -> None:
    await fake.store.create_collection("posts", vectors_config=config)
    async with aclosing(open_store(server.url, collections=("posts",), dimension=dimension)) as adapter:
        with pytest.raises(StageUnavailable, match=message):
            await adapter.ping()


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (JSONResponse({"status": {"error": "no"}}, 401), "set QDRANT_APIKEY"),
        (JSONResponse({"status": {"error": "no"}}, 403), "set QDRANT_APIKEY"),
        (JSONResponse({"status": {"error": "boom"}}, 500), "answered 500 for collection posts"),
        (PlainTextResponse("<html>bad gateway</html>", 502), "answered 502"),
        (PlainTextResponse("hello", 200), "is no Qdrant"),
        (JSONResponse({"result": "hello"}), "is no Qdrant"),
        (JSONResponse({"result": []}), "is no Qdrant"),
        (JSONResponse({"status": {"error": "slow down"}}, 429), "answered 429"),
    ],
)
async def test_errors_are_an_unavailable_stage(
    served: QdrantStore, fake: FakeQdrant, library: Library, failure: JSONResponse, message: str
) -> None:
    fake.failure = failure
    with pytest.raises(StageUnavailable, match=message):
        await served.search(library.vectors[:1], collections=("posts",), limit=1)


async def test_a_rate_limit_carries_the_time_to_wait(served: QdrantStore, fake: FakeQdrant, library: Library) -> None:
    fake.failure = JSONResponse({"status": {"error": "slow down"}}, 429, {"Retry-After": "7"})
    with pytest.raises(UpstreamThrottled) as throttled:
        await served.search(library.vectors[:1], collections=("posts",), limit=1)
    assert throttled.value.retry_after_s == 7


async def test_an_absent_server_is_an_unavailable_stage(library: Library) -> None:
    async with aclosing(open_store(f"http://127.0.0.1:{free_port()}")) as adapter:
        with pytest.raises(StageUnavailable, match=r"retrieval: Qdrant gave no answer \(ConnectError\)"):
            await adapter.search(library.vectors[:1], collections=COLLECTIONS, limit=1)


async def test_the_key_is_sent_and_never_shown(fake: FakeQdrant, server: HttpServer, library: Library) -> None:
    fake.api_key = "right"
    for key, message in (("right", "does not exist"), ("hunter2", "set QDRANT_APIKEY")):
        adapter = QdrantStore.open(
            server.url, api_key=SecretStr(key), collections=("posts",), dimension=384, connections=1, timeout_s=5
        )
        async with aclosing(adapter):
            with pytest.raises(StageUnavailable, match=message) as refused:
                await adapter.search(library.vectors[:1], collections=("posts",), limit=1)
        assert key not in refused.value.detail


@pytest.mark.parametrize("url", ["ftp://example.com", "http://", "http://host:none", "http://host:99999"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StartupError, match="QDRANT_CLOUD_URL"):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://abc.cloud.qdrant.io", "https://abc.cloud.qdrant.io:6333/collections"),
        ("https://abc.cloud.qdrant.io:443", "https://abc.cloud.qdrant.io/collections"),
        ("http://qdrant:7000/behind/", "http://qdrant:7000/behind/collections"),
        ("http://[::1]", "http://[::1]:6333/collections"),
    ],
)
async def test_an_address_without_a_port_means_qdrants_own(url: str, asked: str) -> None:
    async with aclosing(open_store(url)) as adapter:
        assert adapter._client.build_request("GET", "/collections").url == asked
