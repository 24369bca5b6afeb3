"""The load driver against the service as a process: what the one counts is what the other does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsctl.load.driver import Plan, drive
from opsctl.load.outcome import GOOD, Outcome
from opsctl.load.record import Record
from opsctl.load.request import Asking
from opsctl.load.schedule import Phase, Schedule
from opsctl.load.target import Key, Target
from tests.hashed_keys import hashed, key_book
from tests.real_processes import Running, service

QUESTIONS = ("What keeps processes up?", "What runs processes?", "What is supervised?")
ANSWERED = {Outcome.OK, Outcome.OVERLOADED, Outcome.UNAVAILABLE}  # the last where a search takes over a second
SEARCH = Asking(path="/search")


@pytest.fixture(scope="module")
def loaded(one_document: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two requests at once, a key without a limit and one that may ask five times a minute."""
    book = tmp_path_factory.mktemp("keys") / "keys.json"
    book.write_text(key_book(hashed("free", "free-key"), hashed("bound", "bound-key", requestsPerMinute=5)))
    settings = {
        "RAG_VECTOR_STORE": "faiss",
        "RAG_BUNDLE_DIR": one_document,
        "RAG_SERVED_BY": "edge",
        "RAG_AUTH": "api-keys",
        "RAG_API_KEYS_FROM": book,
        "RAG_MAX_IN_FLIGHT": "2",
    }
    with service(settings) as process:
        yield process


def run(loaded: Running, key: Key, *phases: Phase) -> Record:
    schedule = Schedule(phases=phases, arrivals="even")
    return asyncio.run(drive(Plan(Target(loaded.url, (key,)), schedule, QUESTIONS, SEARCH)))


def test_a_spike_is_answered_or_refused_whole_and_the_calm_after_it_is_answered(loaded: Running) -> None:
    free = Key("free", "free-key")
    spike = run(loaded, free, Phase(name="spike", per_s=1000, seconds=0.1))
    assert spike.total.count() == 100
    assert {Outcome.OK, Outcome.OVERLOADED} <= set(spike.total.latencies) <= ANSWERED
    calm = run(loaded, free, Phase(name="step", per_s=2, seconds=2))
    assert calm.total.count() == 4
    assert calm.total.count(GOOD) >= 1  # on a machine that is slow enough not every search ends in its second


def test_a_key_over_its_limit_is_told_so_and_no_more(loaded: Running) -> None:
    record = run(loaded, Key("bound", "bound-key"), Phase(name="step", per_s=10, seconds=2))
    seen = record.keys["bound"]
    assert seen.count() == 20
    assert seen.count({Outcome.RATE_LIMITED}) >= 20 - 5 - seen.count({Outcome.OVERLOADED, Outcome.UNAVAILABLE})
    assert seen.count(GOOD) <= 5
