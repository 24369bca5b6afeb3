"""The composition root with every networked backend at once, each a real process or a named fake."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from service.errors import StartupError
from service.parts import open_parts
from service.settings import Settings
from tests import random_cross_encoder
from tests.contract.conftest import COLLECTIONS, Library
from tests.contract.test_qdrant import fill
from tests.fake_qdrant import FakeQdrant
from tests.fake_sagemaker import KEYS, FakeRuntime
from tests.real_processes import Running, serve

SETTINGS = Settings(vector_store="qdrant", qdrant_url="http://127.0.0.1:1", collections=COLLECTIONS)


async def test_every_networked_backend_opens_answers_and_closes(
    library: Library, mongo: Running, redis: Running, llama_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qdrant, runtime = FakeQdrant(), FakeRuntime()
    await fill(qdrant.store, library)
    with serve(qdrant.app()) as store, serve(runtime) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
        settings = Settings(
            vector_store="qdrant",
            qdrant_url=store.url,
            documents="mongo",
            mongo_url=SecretStr(f"mongodb://127.0.0.1:{mongo.port}"),
            query_model="openai",
            openai_api_key=SecretStr("sk-test"),
            openai_base_url=f"{llama_url}/v1",
            reranker="onnx",
            reranker_model=str(random_cross_encoder.save(tmp_path / "reranker", logits=1)),
            generator="openai",
            fallback="sagemaker",
            sagemaker_endpoint="twin",
            aws_region="eu-north-1",
            cache="redis",
            redis_url=SecretStr(f"redis://127.0.0.1:{redis.port}"),
            mongo_timeout_s=5,
            redis_timeout_s=5,
        )
        async with open_parts(settings) as parts:
            for part in (parts.store, parts.documents, parts.generator, parts.fallback, parts.cache):
                assert part is not None
                await part.ping()
            assert parts.query_model is not None
            assert parts.reranker is not None
            assert len(await parts.reranker.score("a", ["b", "c"])) == 2
            assert parts.fallback is not None
            assert parts.fallback.model_id == "twin"
            assert set(parts.breakers) == {"qdrant", "mongo", "query-model", "generator", "fallback", "redis"}


async def test_without_settings_no_optional_backend_is_opened() -> None:
    async with open_parts(SETTINGS) as parts:
        optional = (parts.documents, parts.query_model, parts.reranker, parts.generator, parts.fallback, parts.cache)
        assert optional == (None,) * 6


async def test_a_memory_cache_and_another_stack_need_no_server_to_start() -> None:
    settings = SETTINGS.model_copy(update={"cache": "memory", "fallback": "service", "fallback_url": "http://x"})
    async with open_parts(settings) as parts:
        assert parts.cache is not None
        await parts.cache.ping()
        assert parts.remote is not None


async def test_a_reranker_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"reranker": "onnx", "reranker_model": str(tmp_path / "none")})
    with pytest.raises(StartupError, match=r"RAG_RERANKER_MODEL: .* does not exist"):
        async with open_parts(settings):
            pass
