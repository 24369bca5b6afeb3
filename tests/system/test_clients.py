"""Real clients over a real socket: OpenAI's own, an EventSource reader, and ones that leave early."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import openai
import pytest
import uvicorn

from service.app import create_app
from service.errors import StageUnavailable
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore, hit

SETTINGS = Settings(vector_store="faiss", bundle_dir=Path("unused"), metrics_port=0)
MESSAGES: Any = [
    {"role": "system", "content": "ignored"},
    {"role": "user", "content": "earlier"},
    {"role": "assistant", "content": "earlier answer"},
    {"role": "user", "content": [{"type": "text", "text": "What controls processes?"}]},
]


@asynccontextmanager
async def serving(generator: FakeGenerator, store: FakeStore | None = None) -> AsyncIterator[str]:
    app = create_app(SETTINGS, Parts(FakeEmbedder(), store or FakeStore(), generator=generator))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


async def test_the_official_openai_client_gets_an_answer_with_sources() -> None:
    generator = FakeGenerator()
    async with serving(generator) as url, client(url) as ai:
        completion = await ai.chat.completions.create(model="rag-platform", messages=MESSAGES)
    assert completion.choices[0].message.content == "Supervisor controls processes [1]."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 104
    assert completion.model_extra is not None
    assert completion.model_extra["sources"][0]["id"] == "a"
    assert generator.prompts[0][1].content.endswith("Question: What controls processes?")


async def test_the_official_openai_client_streams() -> None:
    async with serving(FakeGenerator()) as url, client(url) as ai:
        stream = await ai.chat.completions.create(
            model="rag-platform", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Supervisor controls processes [1]."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4


async def test_a_mark_that_the_model_left_out_ends_the_stream() -> None:
    store = FakeStore([hit(text="Supervisor is a program that controls processes.")])
    async with serving(FakeGenerator(["The program Supervisor controls processes."]), store) as url, client(url) as ai:
        stream = await ai.chat.completions.create(model="rag-platform", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "The program Supervisor controls processes. [1]"


async def test_the_official_openai_client_lists_the_model() -> None:
    async with serving(FakeGenerator()) as url, client(url) as ai:
        assert [model.id async for model in ai.models.list()] == ["rag-platform"]


async def test_the_official_openai_client_reads_an_error() -> None:
    async with serving(FakeGenerator()) as url, client(url) as ai:
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            await ai.chat.completions.create(model="rag-platform", messages=[{"role": "user", "content": " "}])
    assert "the last user message is empty" in caught.value.message
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["type"] == "invalid_request_error"


async def test_the_official_openai_client_learns_that_a_stream_broke() -> None:
    generator = FakeGenerator(error=StageUnavailable("generation", "cut"), error_after=2)
    async with serving(generator) as url, client(url) as ai:
        stream = await ai.chat.completions.create(model="rag-platform", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="generation: cut"):
            _ = [chunk async for chunk in stream]


async def test_an_event_source_reader_gets_sources_tokens_done() -> None:
    async with serving(FakeGenerator()) as url, httpx.AsyncClient(trust_env=False) as http:
        body = {"query": "x", "stream": True}
        async with httpx_sse.aconnect_sse(http, "POST", f"{url}/rag", json=body) as source:
            events = [(event.event, json.loads(event.data)) async for event in source.aiter_sse()]
    assert [name for name, _ in events] == ["sources", "token", "token", "token", "token", "done"]
    assert events[-1][1]["answer"] == "Supervisor controls processes [1]."


async def test_tokens_arrive_as_they_are_made() -> None:
    async with serving(FakeGenerator(delay_s=0.2)) as url, httpx.AsyncClient(trust_env=False) as http:
        body = {"query": "x", "stream": True}
        async with httpx_sse.aconnect_sse(http, "POST", f"{url}/rag", json=body) as source:
            arrivals = [time.monotonic() async for _ in source.aiter_sse()]
    assert arrivals[-1] - arrivals[0] > 0.6


async def gone_within(generator: FakeGenerator, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if generator.closed == generator.calls == 1:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_the_model_call_within_half_a_second(path: str, stream: bool) -> None:  # noqa: FBT001
    generator = FakeGenerator(pieces=["word "] * 1000, delay_s=0.1)
    body: dict[str, Any] = {"stream": stream}
    body |= {"query": "x"} if path == "/rag" else {"messages": MESSAGES}
    async with serving(generator) as url, httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):  # leaves in the middle
            await http.post(f"{url}{path}", json=body, timeout=0.4) if not stream else await _read(
                http, url + path, body
            )
        assert await gone_within(generator, 0.5)


async def _read(http: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
    async with http.stream("POST", url, json=body) as response:
        async for _ in response.aiter_bytes():
            raise httpx.ReadTimeout("read enough")


async def test_a_client_that_leaves_during_retrieval_cancels_it() -> None:
    store = FakeStore(delay_s=0.9)
    generator = FakeGenerator()
    async with serving(generator, store) as url, httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"{url}/rag", json={"query": "x"}, timeout=0.3)
        await asyncio.sleep(1)
    assert (len(store.calls), generator.calls) == (1, 0)
