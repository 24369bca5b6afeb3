"""Whole services as processes, every backend behind a fault proxy, asked through their HTTP API."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pymongo import MongoClient

from tests import random_cross_encoder
from tests.contract.conftest import Library
from tests.contract.test_qdrant import fill
from tests.fake_qdrant import FakeQdrant
from tests.fake_sagemaker import KEYS, FakeRuntime
from tests.fault_proxy import FaultProxy
from tests.real_processes import Running, serve, service
from tests.scripted_openai import ScriptedOpenAI

ADA = "Ada Lovelace"
DATABASE = "faults"
UNREADABLE = "0"  # a character that the tokenizer knows and the reranking model does not
CLEAN_IN_A_ROW = 20
PATIENCE_S = 60.0  # on a busy machine

_numbers = itertools.count()


@dataclass(frozen=True)
class Reply:
    """One response and the seconds it took."""

    status: int
    headers: httpx.Headers
    body: dict[str, Any]
    took_s: float

    @property
    def outside_ms(self) -> float:
        """What the caller waited that no stage of the answer took: the cache, and the way here."""
        stages = {name: ms for name, ms in self.body["timings"].items() if name != "total_ms"}
        together = min(stages["self_query_ms"], stages["query_expansion_ms"])  # they run at the same time
        return self.took_s * 1000 - (sum(stages.values()) - together)


@dataclass
class Asked:
    """A service, and how tests ask it."""

    http: httpx.Client

    def ask(self, question: str | None = None, path: str = "/rag", **more: Any) -> Reply:
        """A question that nobody asked before, unless one is given."""
        query = f"{question or 'How does the Analytical Engine weave patterns?'} {letters(next(_numbers))}"
        began = time.monotonic()
        response = self.http.post(path, json={"query": query, **more})
        return Reply(response.status_code, response.headers, response.json(), time.monotonic() - began)

    def streamed(self, question: str) -> list[tuple[float, str, dict[str, Any]]]:
        """(seconds from the start, event, data) of a streamed answer."""
        began, found, name = time.monotonic(), [], ""
        with self.http.stream("POST", "/rag", json={"query": question, "stream": True}) as response:
            for line in response.iter_lines():
                kind, _, value = line.partition(": ")
                if kind == "event":
                    name = value
                elif kind == "data":
                    found.append((time.monotonic() - began, name, json.loads(value)))
        return found

    def recovered(self, times: int = CLEAN_IN_A_ROW, **more: Any) -> float:
        """Seconds until the first of so many answers in a row that lack nothing."""
        began, first, clean = time.monotonic(), 0.0, 0
        while clean < times:
            assert time.monotonic() - began < PATIENCE_S, "it did not heal"
            since = time.monotonic() - began
            reply = self.ask(**more)
            if reply.status == httpx.codes.OK and not reply.body["degraded"]:
                first = first if clean else since
                clean += 1
            else:
                clean = 0
                time.sleep(0.1)
        return first


@dataclass
class Cloud(Asked):
    """Redis and MongoDB; Qdrant's and SageMaker's fakes; a scripted OpenAI; each behind a proxy."""

    redis: FaultProxy
    mongo: FaultProxy
    qdrant: FaultProxy
    query_model: FaultProxy
    generator: FaultProxy
    store: FakeQdrant
    runtime: FakeRuntime
    settings: dict[str, object] = field(default_factory=dict)


@contextmanager
def cloud_service(library: Library, redis: Running, mongo: Running, folder: Path) -> Iterator[Cloud]:
    store, runtime, openai = FakeQdrant(), FakeRuntime(), ScriptedOpenAI(author=ADA)
    asyncio.run(fill(store.store, library))
    with MongoClient[dict[str, Any]](mongo.url.replace("http", "mongodb", 1)) as client:
        client[DATABASE]["users"].insert_one({"_id": ADA, "fullName": ADA})
    with ExitStack() as stack:
        proxied = {
            "redis": redis.port,
            "mongo": mongo.port,
            "qdrant": port_of(stack.enter_context(serve(store.app())).url),
            "query_model": port_of(stack.enter_context(serve(openai.app())).url),
            "generator": port_of(stack.enter_context(serve(runtime)).url),
        }
        proxies = {name: stack.enter_context(FaultProxy(port).running()) for name, port in proxied.items()}
        settings = cloud_settings(proxies, folder)
        running = stack.enter_context(service(settings))
        http = stack.enter_context(httpx.Client(base_url=running.url, trust_env=False, timeout=PATIENCE_S))
        yield Cloud(http, **proxies, store=store, runtime=runtime, settings=settings)


def cloud_settings(proxies: dict[str, FaultProxy], folder: Path) -> dict[str, object]:
    return {
        "RAG_SERVED_BY": "cloud",
        "QDRANT_CLOUD_URL": url_of(proxies["qdrant"]),
        "RAG_DOCUMENTS": "mongo",
        "DATABASE_HOST": f"mongodb://127.0.0.1:{proxies['mongo'].port}/",
        "DATABASE_NAME": DATABASE,
        "RAG_QUERY_MODEL": "openai",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": f"{url_of(proxies['query_model'])}/v1",
        "RAG_RERANKER": "onnx",
        "RAG_RERANKER_MODEL": fragile_reranker(folder / "reranker"),
        "RAG_GENERATOR": "sagemaker",
        "SAGEMAKER_ENDPOINT_INFERENCE": "twin",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url_of(proxies["generator"]),
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "AWS_REGION": "eu-north-1",
        # A busy machine: no row is about these limits, but for the store's, which stays below the 2.5 s of its rows.
        "RAG_SEARCH_TIMEOUT_S": 2,
        "RAG_RERANK_TIMEOUT_S": 10,
        "RAG_CACHE": "redis",
        "RAG_REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}",
    }


@dataclass
class Edge(Asked):
    """A FAISS bundle in process and a real llama.cpp behind a proxy."""

    model: FaultProxy
    llama: httpx.Client
    deadline_s: float = 12.0  # a real model on a busy machine begins within it

    def decoding(self) -> bool:
        return any(slot["is_processing"] for slot in self.llama.get("/slots").json())


@contextmanager
def edge_service(library: Library, llama_url: str) -> Iterator[Edge]:
    with ExitStack() as stack:
        model = stack.enter_context(FaultProxy(port_of(llama_url)).running())
        settings = {
            "RAG_SERVED_BY": "edge",
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": library.home,
            "RAG_GENERATOR": "llamacpp",
            "RAG_LLAMACPP_URL": url_of(model),
            "RAG_CONTEXT_TOKENS": 1024,
            "RAG_MAX_OUTPUT_TOKENS": 48,
            "RAG_DEADLINE_S": Edge.deadline_s,
            "RAG_SEARCH_TIMEOUT_S": 5,
        }
        running = stack.enter_context(service(settings))
        http = stack.enter_context(httpx.Client(base_url=running.url, trust_env=False, timeout=PATIENCE_S))
        llama = stack.enter_context(httpx.Client(base_url=llama_url, trust_env=False, timeout=PATIENCE_S))
        yield Edge(http, model, llama)


def fragile_reranker(folder: Path) -> Path:
    """A reranking model that fails on questions with UNREADABLE in them: a token beyond its embeddings."""
    random_cross_encoder.save(folder, logits=1)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"][UNREADABLE] = 10 * len(random_cross_encoder.VOCABULARY)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def letters(number: int) -> str:
    """A number without digits, so that the reranking model can read it."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def url_of(proxy: FaultProxy) -> str:
    return f"http://127.0.0.1:{proxy.port}"
