from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import real_processes
from tests.real_processes import Door, Running

PULUMI_LOOP = pytest.StashKey[asyncio.AbstractEventLoop]()

# An example that takes long says that the machine is busy, and nothing of the code.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Pulumi's runtime asks for the thread's current event loop, and an async test before it leaves none behind.

    A hook and not a fixture: programs run in fixtures of every scope.
    """
    if item.path.parent.name not in {"infra", "policy"}:
        return
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        if PULUMI_LOOP not in item.config.stash:
            item.config.stash[PULUMI_LOOP] = asyncio.new_event_loop()
        asyncio.set_event_loop(item.config.stash[PULUMI_LOOP])


def pytest_unconfigure(config: pytest.Config) -> None:
    if PULUMI_LOOP in config.stash:
        config.stash[PULUMI_LOOP].close()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def redis() -> Iterator[Running]:
    with real_processes.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with real_processes.mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="session")
def llama_url() -> Iterator[str]:
    with real_processes.llama_server(context_tokens=1024) as url:
        yield url


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    opening = Door()
    with real_processes.serve(opening) as opening.server:
        yield opening


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three collections and three authors."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "corpus.jsonl").write_text(CORPUS)
    return folder


CORPUS = """\
{"collection": "posts", "author": "Ada Lovelace", "title": "Looms", "url": "p/1", "text": "The Analytical Engine weaves algebraic patterns just as the Jacquard loom weaves flowers and leaves."}
{"collection": "posts", "author": "Alan Turing", "title": "Imitation", "url": "p/2", "text": "Can machines think? The imitation game replaces the question by one about questions and answers."}
{"collection": "articles", "author": "Ada Lovelace", "title": "Bernoulli", "url": "a/1", "text": "A diagram shows how the engine would compute the numbers of Bernoulli, step by step, with loops."}
{"collection": "articles", "author": "Grace Hopper", "title": "Compilers", "url": "a/2", "text": "A compiler translates a program that people can read into instructions that a machine can run."}
{"collection": "repos", "author": "Grace Hopper", "title": "Moth", "url": "r/1", "text": "The first actual bug was a moth in a relay of the computer; it was taped into the log book."}
{"collection": "repos", "author": "Alan Turing", "title": "Bombe", "url": "r/2", "text": "The bombe searched for the daily settings of the Enigma machine by testing a guessed piece of text."}
"""  # noqa: E501 - rows of JSONL
