"""A request that finds no file descriptor left is one too many, wherever it notices."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.resilience.descriptors import foreseen
from service.settings import Settings
from tests.fakes import FakeGenerator, FakeStore
from tests.in_process import calling

SETTINGS = Settings(vector_store="faiss", bundle_dir=Path("unused"), metrics_port=0)
NONE_LEFT = OSError(errno.EMFILE, "Too many open files", "planted-secret")
CHAT = {"messages": [{"role": "user", "content": "x"}]}

# No file can be opened any more when the first call is made, and no socket.
FIRST_CALL = """
import asyncio, resource
import anyio.to_thread
from pydantic import SecretStr
from service.adapters.openai_models import OpenAIGenerator, open_client
from service.errors import RagError

async def main():
    url = "http://127.0.0.1:9/v1"
    client = open_client(api_key=SecretStr("sk"), base_url=url, connections=1, read_timeout_s=1)
    generator = OpenAIGenerator(client, model="m", context_tokens=100)
    await anyio.to_thread.run_sync(int)  # what a server has used by then
    await asyncio.to_thread(int)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    try:
        await anext(generator.stream([], max_tokens=1))
    except RagError as exc:
        print(type(exc).__name__)

asyncio.run(main())
"""


def caused_by(error: OSError) -> Exception:
    wrapped = ValueError("a library's own")
    wrapped.__cause__ = error
    return wrapped


def during(error: OSError, *, hidden: bool = False) -> Exception:
    wrapped = ValueError("a library's own")
    wrapped.__context__, wrapped.__suppress_context__ = error, hidden
    return wrapped


@pytest.mark.parametrize(
    ("exc", "is_overload"),
    [
        (NONE_LEFT, True),
        (OSError(errno.ENFILE, "Too many open files in system"), True),
        (caused_by(NONE_LEFT), True),
        (during(NONE_LEFT), True),
        (during(NONE_LEFT, hidden=True), False),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (caused_by(ConnectionResetError(errno.ECONNRESET, "reset")), False),
        (RuntimeError("too many open files"), False),
    ],
)
def test_the_error_that_began_it_tells(exc: Exception, *, is_overload: bool) -> None:
    assert (foreseen(exc) is not None) is is_overload


def test_errors_that_lead_to_each_other_have_an_end() -> None:
    first, second = ValueError(), ValueError()
    first.__context__, second.__context__ = second, first
    assert foreseen(first) is None


@pytest.mark.parametrize(("path", "body"), [("/rag", {"query": "x"}), ("/search", {"query": "x"})])
async def test_it_is_refused_like_any_other_that_is_too_much(path: str, body: dict[str, object]) -> None:
    async with calling(SETTINGS, store=FakeStore(error=caused_by(NONE_LEFT))) as http:
        response = await http.post(path, json=body)
    assert (response.status_code, response.headers["retry-after"]) == (httpx.codes.SERVICE_UNAVAILABLE, "1")
    assert response.json()["type"] == "urn:rag-platform:Overloaded"
    assert "planted-secret" not in response.text


async def test_a_stream_says_so_in_its_last_event() -> None:
    async with calling(SETTINGS, generator=FakeGenerator(error=NONE_LEFT, error_after=1)) as http:
        events = await http.post("/rag", json={"query": "x", "stream": True})
        chat = await http.post("/v1/chat/completions", json=CHAT | {"stream": True})
    assert json.loads(events.text.strip().rpartition("data: ")[2])["status"] == httpx.codes.SERVICE_UNAVAILABLE
    assert json.loads(chat.text.strip().rpartition("data: ")[2])["error"]["code"] == "Overloaded"


def test_openais_client_loads_nothing_with_its_first_call() -> None:
    ended = subprocess.run([sys.executable, "-c", FIRST_CALL], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "Unreachable", ended.stderr
