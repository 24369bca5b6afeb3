"""What the addresses of a task lead to on this machine: real processes where they can be had, else fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.credentials import Credentials

from tests.contract.conftest import Library
from tests.contract.test_qdrant import fill
from tests.e2e.runtime import Override
from tests.fake_qdrant import FakeQdrant
from tests.fake_sagemaker import FakeRuntime
from tests.real_processes import Running, serve


@contextmanager
def backends(
    library: Library, redis: Running, mongo: Running, llama_url: str, callers: dict[str, Credentials]
) -> Iterator[dict[str, Override]]:
    """Start what is not running yet; gives the overrides of the task's environment.

    Args:
        callers: whose signatures the model endpoint accepts, by access key.
    """
    qdrant, endpoint = FakeQdrant(api_key="planted-qdrantApiKey"), FakeRuntime(keys=callers)
    with serve(qdrant.app()) as store, serve(endpoint) as model:
        asyncio.run(fill(qdrant.store, library))
        yield {
            "QDRANT_CLOUD_URL": Override(store.url, "no Qdrant server can be had as a package; asks for the same key"),
            "DATABASE_HOST": Override(f"mongodb://127.0.0.1:{mongo.port}", "the declared address is a vendor's"),
            "RAG_REDIS_URL": Override(f"redis://127.0.0.1:{redis.port}", "nothing runs behind the emulator's cache"),
            "OPENAI_BASE_URL": Override(f"{llama_url}/v1", "a vendor's API; llama.cpp speaks it"),
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": Override(model.url, "no GPU: the container's contract alone"),
            "RAG_RERANKER": Override("none", "the image holds the model; a model hub is out of reach here"),
        }
