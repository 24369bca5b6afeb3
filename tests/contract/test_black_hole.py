"""Every adapter that crosses a process, in front of a socket that never answers: each wait has a limit, and one try.

Two holes: `deaf` takes connections and says nothing (the request's limit), `full` takes none (the connection's limit).
"""

from __future__ import annotations

import ast
import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from botocore.config import Config
from pydantic import SecretStr

from service import adapters
from service.access.windows import Window
from service.adapters import (
    bundle_bucket,
    cloudwatch,
    llamacpp,
    mongo,
    oidc_provider,
    openai_models,
    qdrant,
    redis_cache,
    redis_windows,
    sagemaker,
    secrets_manager,
    service_url,
    ssm_parameter,
)
from service.adapters.bundle_bucket import BundleBucket
from service.adapters.cloudwatch import CloudWatch
from service.adapters.llamacpp import LlamaCpp
from service.adapters.mongo import MongoDocuments
from service.adapters.oidc_provider import OidcProvider
from service.adapters.openai_models import OpenAIGenerator, OpenAIQueryModel
from service.adapters.qdrant import QdrantStore
from service.adapters.redis_cache import RedisCache
from service.adapters.redis_windows import RedisWindows
from service.adapters.sagemaker import SageMaker
from service.adapters.secrets_manager import Secret, Secrets
from service.adapters.service_url import ServiceUrl
from service.adapters.ssm_parameter import SsmParameter
from service.errors import StageUnavailable
from service.ports import Generator, Message
from service.telemetry.push import Minute
from tests.fake_sagemaker import KEYS

LIMIT_S = 0.3
AT_ONCE_S = 10.0  # on a busy machine; without a limit nothing here would ever end
DRIVERS_OWN = 3  # MongoDB's driver watches its servers over connections of its own

Call = Callable[[int], Awaitable[object]]


@dataclass
class Hole:
    """`accepted` counts the connections; a second try would have made another."""

    port: int
    accepted: int = 0
    _held: list[asyncio.StreamWriter] = field(default_factory=list)


@asynccontextmanager
async def deaf() -> AsyncIterator[Hole]:
    """Reads what comes and says nothing."""
    hole = Hole(0)

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hole.accepted += 1
        while await reader.read(65536):
            pass
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        hole.port = server.sockets[0].getsockname()[1]
        yield hole


@asynccontextmanager
async def full() -> AsyncIterator[Hole]:
    """Its queue of connections is full, so that the kernel drops every other's first packet."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())
        yield Hole(listener.getsockname()[1])


async def drained(generator: Generator) -> None:
    async with aclosing(generator.stream([Message("user", "hello")], max_tokens=8)) as deltas:
        async for _ in deltas:
            pass


async def search(port: int) -> None:
    store = QdrantStore.open(
        f"http://127.0.0.1:{port}", api_key=None, collections=["posts"], dimension=3, connections=2, timeout_s=1.0
    )
    async with aclosing(store):
        await store.search(np.eye(1, 3, dtype=np.float32), collections=["posts"], limit=1)


async def author(port: int) -> None:
    url = SecretStr(f"mongodb://127.0.0.1:{port}/")
    async with aclosing(MongoDocuments.open(url, database="rag", connections=2, timeout_s=LIMIT_S)) as documents:
        await documents.author_ids("Ada")


async def kept(port: int) -> None:
    url = SecretStr(f"redis://127.0.0.1:{port}")
    async with aclosing(RedisCache.open(url, connections=2, timeout_s=LIMIT_S)) as cache:
        await cache.get("key")


async def counted(port: int) -> None:
    url = SecretStr(f"redis://127.0.0.1:{port}")
    async with aclosing(RedisWindows.open(url, connections=2, timeout_s=LIMIT_S)) as windows:
        await windows.take(Window("key", span_s=60, limit=1), 1)


async def issuer_keys(port: int) -> None:
    async with aclosing(OidcProvider.open(f"http://127.0.0.1:{port}")) as provider:
        await provider.key_set()


def openai(port: int) -> openai_models.openai.AsyncOpenAI:
    return openai_models.open_client(
        api_key=SecretStr("sk-test"), base_url=f"http://127.0.0.1:{port}/v1", connections=2, read_timeout_s=LIMIT_S
    )


async def openai_query_model(port: int) -> None:
    async with aclosing(OpenAIQueryModel(openai(port), model="m")) as model:
        await model.self_query("by Ada?")


async def openai_generator(port: int) -> None:
    async with aclosing(OpenAIGenerator(openai(port), model="m", context_tokens=64)) as generator:
        await drained(generator)


async def llama_cpp(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    async with aclosing(
        LlamaCpp.open(url, model="m", context_tokens=64, connections=2, read_timeout_s=LIMIT_S)
    ) as generator:
        await drained(generator)


async def sagemaker_endpoint(_: int) -> None:
    adapter = SageMaker.open(
        endpoint="twin",
        component=None,
        engine="vllm",
        model=None,
        context_tokens=64,
        region="eu-north-1",
        connections=2,
        read_timeout_s=LIMIT_S,
    )
    async with aclosing(adapter) as generator:
        await drained(generator)


async def another_stack(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    async with aclosing(ServiceUrl.open(url, api_key=None, connections=2, read_timeout_s=LIMIT_S)) as remote:
        await remote.ask("hello", top_k=1, author=None)


async def ssm(_: int) -> None:
    await SsmParameter.open("/rag/dev/switches", region="eu-north-1").read()


async def counts(_: int) -> None:
    writer = CloudWatch("rag-platform/dev", host="local", region="eu-north-1")
    await asyncio.to_thread(writer.write, [Minute(at=1_800_000_000.0)])


async def newest_bundle(_: int) -> None:
    await asyncio.to_thread(BundleBucket("bundles", "bundles/", region="eu-north-1").latest)


async def secret(_: int) -> None:
    await asyncio.to_thread(Secret("arn:aws:secretsmanager:eu-north-1:000000000000:secret:keys").read)


async def secrets_of_a_start(_: int) -> None:
    """A start has nothing to fall back on and knocks three times."""
    arns = {"OPENAI_API_KEY": "arn:aws:secretsmanager:eu-north-1:000000000000:secret:keys"}
    read = await asyncio.to_thread(Secrets(arns, setting="RAG_SECRETS_FROM").read)
    if isinstance(failure := read["OPENAI_API_KEY"], OSError):
        raise failure


# Module of the adapter, call, connections that it may make.
CALLS = {
    "Qdrant": (qdrant, search, 1),
    "MongoDB": (mongo, author, DRIVERS_OWN),
    "Redis": (redis_cache, kept, 1),
    "Redis for limits": (redis_windows, counted, 1),
    "OpenID provider": (oidc_provider, issuer_keys, 1),
    "OpenAI as query model": (openai_models, openai_query_model, 1),
    "OpenAI as generator": (openai_models, openai_generator, 1),
    "llama.cpp": (llamacpp, llama_cpp, 1),
    "SageMaker": (sagemaker, sagemaker_endpoint, 1),
    "another stack": (service_url, another_stack, 1),
    "SSM": (ssm_parameter, ssm, 1),
    "S3": (bundle_bucket, newest_bundle, 1),
    "CloudWatch": (cloudwatch, counts, 1),
    "Secrets Manager": (secrets_manager, secret, 1),
    "Secrets Manager at a start": (secrets_manager, secrets_of_a_start, 3),
}
CLIENTS = {"boto3", "botocore", "httpx", "httpx2", "jwt", "openai", "pymongo", "qdrant_client", "redis"}
# No request waits for these: jobs and an operator's commands do.
OF_JOBS = {"backup_bucket", "hub_reranker", "mongo_corpus", "mongo_dump", "openai_batches", "qdrant_points"}
OF_JOBS |= {"qdrant_snapshots"}
NOT_A_CALL = {"http_failure", "llamacpp_server", "redis_client"}  # reads errors, starts a server, opens for two others


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (llamacpp, oidc_provider, openai_models, sagemaker, service_url, ssm_parameter):
        monkeypatch.setattr(module, "CONNECT_S", LIMIT_S)
    monkeypatch.setattr(ssm_parameter, "READ_S", LIMIT_S)
    monkeypatch.setattr(oidc_provider, "TOTAL_S", LIMIT_S)
    for module in (bundle_bucket, cloudwatch):
        monkeypatch.setattr(module, "ONCE", module.ONCE.merge(Config(connect_timeout=LIMIT_S, read_timeout=LIMIT_S)))
    for tries in ("ONCE", "THRICE"):
        short = getattr(secrets_manager, tries).merge(Config(connect_timeout=LIMIT_S, read_timeout=LIMIT_S))
        monkeypatch.setattr(secrets_manager, tries, short)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)


# MongoDB's driver leaks the socket of a monitor that is closed while it connects.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [deaf, full], ids=["the request has a limit", "the connection has a limit"])
@pytest.mark.parametrize("backend", CALLS)
async def test_a_call_into_a_black_hole_ends_by_itself(
    backend: str, kind: Callable[[], AsyncIterator[Hole]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, call, connections = CALLS[backend]
    async with kind() as hole:  # type: ignore[attr-defined]
        for service in ("CLOUDWATCH", "S3", "SAGEMAKER_RUNTIME", "SECRETS_MANAGER", "SSM"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://127.0.0.1:{hole.port}")
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises((StageUnavailable, OSError)):
                await call(hole.port)
        assert int(kind is deaf) <= hole.accepted <= connections


def test_every_adapter_that_imports_a_client_is_in_the_table() -> None:
    importing = set()
    for path in Path(adapters.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text())
        plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        members = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if CLIENTS & {name.partition(".")[0] for name in plain | members}:
            importing.add(path.stem)
    walked = {module.__name__.rpartition(".")[2] for module, _, _ in CALLS.values()}
    assert importing - NOT_A_CALL - OF_JOBS == walked
