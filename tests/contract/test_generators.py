"""The generators that a llama.cpp server is behind, and what closing their streams does to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, StringConstraints, create_model

from service.adapters import openai_models
from service.adapters.llamacpp import LlamaCpp
from service.adapters.openai_models import OpenAIGenerator, OpenAIQueryModel, _variants
from service.adapters.token_bound import upper_bound
from service.errors import Unreachable
from service.ports import Generator, Message, QueryModel
from tests.contract.contracts import PROMPT, GeneratorContract, QueryModelContract

LONG = [Message("user", "Count from one to one thousand in words, one after another.")]


def llamacpp(url: str) -> LlamaCpp:
    return LlamaCpp.open(url, model="smollm2", context_tokens=1024, connections=4, read_timeout_s=60)


def openai_client(url: str) -> openai_models.openai.AsyncOpenAI:
    key = SecretStr("sk-test")
    return openai_models.open_client(api_key=key, base_url=f"{url}/v1", connections=4, read_timeout_s=60)


def openai_generator(url: str) -> OpenAIGenerator:
    return OpenAIGenerator(openai_client(url), model="smollm2", context_tokens=1024)


class OnLlama(GeneratorContract):
    async def test_closing_the_stream_stops_the_server_within_half_a_second(
        self, generator: Generator, llama_url: str
    ) -> None:
        async with httpx.AsyncClient(base_url=llama_url, trust_env=False) as http:

            async def decoding() -> bool:
                return any(slot["is_processing"] for slot in (await http.get("/slots")).json())

            stream = generator.stream(LONG, max_tokens=600)
            async with aclosing(stream):
                await anext(stream)
                assert await decoding()
            began = time.monotonic()
            while await decoding():
                assert time.monotonic() - began < 0.5
                await asyncio.sleep(0.02)

    async def test_a_cancelled_reader_stops_the_server_within_half_a_second(
        self, generator: Generator, llama_url: str
    ) -> None:
        async with httpx.AsyncClient(base_url=llama_url, trust_env=False) as http:
            reading = asyncio.create_task(collect_all(generator))
            while not any(slot["is_processing"] for slot in (await http.get("/slots")).json()):
                await asyncio.sleep(0.02)
            reading.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await reading
            while any(slot["is_processing"] for slot in (await http.get("/slots")).json()):
                assert time.monotonic() - began < 0.5
                await asyncio.sleep(0.02)


async def collect_all(generator: Generator) -> None:
    async with aclosing(generator.stream(LONG, max_tokens=600)) as stream:
        async for _ in stream:
            pass


class TestLlamaCpp(OnLlama):
    @pytest.fixture
    async def generator(self, llama_url: str) -> AsyncIterator[Generator]:
        async with aclosing(llamacpp(llama_url)) as adapter:
            yield adapter


class TestOpenAI(OnLlama):
    @pytest.fixture
    async def generator(self, llama_url: str) -> AsyncIterator[Generator]:
        async with aclosing(openai_generator(llama_url)) as adapter:
            yield adapter


ShortText = Annotated[str, StringConstraints(max_length=120)]


class ShortAuthor(openai_models._Author):
    author: ShortText | None


@cache
def short_variants(count: int) -> type[BaseModel]:
    fields: dict[str, Any] = dict.fromkeys(_variants(count).model_fields, (ShortText, ...))
    return create_model("Variants", __config__=ConfigDict(extra="forbid"), **fields)


class TestOpenAIQueryModel(QueryModelContract):
    @pytest.fixture
    async def query_model(self, llama_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QueryModel]:
        # So small a model rambles at times. OpenAI's strict schemas can't bound a text's length; llama.cpp's can.
        monkeypatch.setattr(openai_models, "_Author", ShortAuthor)
        monkeypatch.setattr(openai_models, "_variants", short_variants)
        monkeypatch.setattr(openai_models, "AUTHOR_TOKENS", 160)
        monkeypatch.setattr(openai_models, "VARIANT_TOKENS", 160)
        async with aclosing(OpenAIQueryModel(openai_client(llama_url), model="smollm2")) as adapter:
            yield adapter


async def test_both_clients_read_the_same_answer(llama_url: str) -> None:
    answers = []
    for adapter in (llamacpp(llama_url), openai_generator(llama_url)):
        async with aclosing(adapter), aclosing(adapter.stream(PROMPT, max_tokens=8)) as stream:
            answers.append("".join([delta.text async for delta in stream]).split()[:3])
    assert answers[0] == answers[1]


SAMPLES = {
    "code": "for (int i = 0; i < n; ++i) { total += values[i] * 3.14159e-12; } // x_y->z::w\n" * 5,
    "numbers": "2026-11-23T02:05:11Z 192.168.100.200 0xDEADBEEF 1234567890 3.50% \t\t 4e-9\n" * 5,
    "names": "getHTTPResponseCodeXyzzyQwrtpsdfghjklzxcvbnm sha256 KMS_ARN us-east-1a IAMRoleXQJZ\n" * 5,
    "chinese": "数据库的索引结构决定了检索的速度和内存占用。" * 5,
    "russian": "Векторный поиск находит ближайшие по смыслу фрагменты текста." * 5,
    "emoji": "😀🎉👩‍👩‍👧‍👦 naïve façade — “quoted” … €" * 5,
    "markup": "| a | b |\n|---|---|\n| **x** | `y` |\n<div class='c'>&nbsp;</div>\n\n\n" * 5,
}


async def test_the_bound_is_above_what_a_real_tokenizer_counts(llama_url: str) -> None:
    """Held against 49 thousand entries; larger vocabularies need fewer tokens for the same text."""
    root = Path(__file__).parents[2]
    files = chain(root.glob("service/*.py"), root.glob("docs/**/*.md"), [root / "README.md"])
    read = {path.name: path.read_text(encoding="utf-8")[:4000] for path in files}
    texts = SAMPLES | {name: text for name, text in read.items() if text}
    async with aclosing(llamacpp(llama_url)) as adapter:
        exact = await adapter.count_tokens(list(texts.values()))
    ratios = {name: upper_bound(text) / count for (name, text), count in zip(texts.items(), exact, strict=True)}
    assert {name: round(ratio, 2) for name, ratio in ratios.items() if ratio < 1} == {}
    prose = {name: ratio for name, ratio in ratios.items() if name.endswith(".md")}
    assert max(prose.values()) < 2.5  # a bound that wastes the window is of no use either


@pytest.mark.parametrize("call", ["ping", "count_tokens", "stream"])
async def test_a_llamacpp_that_is_down_is_said_without_its_address(call: str) -> None:
    calls = {
        "ping": lambda llama: llama.ping(),
        "count_tokens": lambda llama: llama.count_tokens(["x"]),
        "stream": lambda llama: anext(llama.stream([Message("user", "x")], max_tokens=1)),
    }
    async with aclosing(llamacpp("http://user:planted-secret@127.0.0.1:9")) as llama:
        with pytest.raises(Unreachable, match="RAG_LLAMACPP_URL") as caught:
            await calls[call](llama)
    assert "planted" not in caught.value.detail
    assert "127.0.0.1" not in caught.value.detail
