from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.errors import StageUnavailable
from service.parts import Parts
from service.ports import RemoteAnswer, Usage
from service.rag import answer, route
from service.rag.events import Answer, Found, Question
from service.rag.pipeline import Pipeline, last_of
from service.resilience import Deadline
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore, hit

EDGE = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    served_by="edge",
    privacy="allow-cloud",
    generator="llamacpp",
    llamacpp_url="http://unused",
)
LOCAL_ONLY = EDGE.model_copy(update={"privacy": "local-only"})
EASY = Question("What controls processes?", top_k=3)
HARD = Question("What controls processes? And who wrote it?", top_k=3)
DOWN = StageUnavailable("generation", "down")


@dataclass
class FakeRemote:
    error: Exception | None = None
    degraded: tuple[str, ...] = ()
    asked: list[tuple[str, int, str | None]] = field(default_factory=list)

    async def ask(self, query: str, *, top_k: int, author: str | None) -> RemoteAnswer:
        self.asked.append((query, top_k, author))
        if self.error:
            raise self.error
        return RemoteAnswer("From afar [1].", (1,), (hit("far"),), Usage(50, 5), Decimal("0.001"), self.degraded)

    async def ping(self) -> None: ...


def situation(**changes: Any) -> route.Situation:
    calm = {"text": "What is it?", "best_score": 0.8, "expected_s": 1.0, "remaining_s": 100.0}
    return route.Situation(**(calm | changes))


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"text": "word " * 61}, ["long"]),
        ({"text": "Who is it? And why?"}, ["sub-questions"]),
        ({"text": "Tell me:\n1. who\n2. why"}, ["sub-questions"]),
        ({"text": "Is http://x?a=1&b=2 up?"}, []),
        ({"best_score": 0.3}, ["low score"]),
        ({"expected_s": 81.0}, ["deadline"]),
        ({"text": "a? b?", "best_score": 0.1}, ["sub-questions", "low score"]),
    ],
)
def test_what_is_hard_for_the_edge(changes: dict[str, Any], reasons: list[str]) -> None:
    assert route.reasons_for_cloud(situation(**changes)) == reasons


def test_nothing_leaves_where_privacy_forbids_it() -> None:
    assert route.order(["long"], cloud_allowed=False) == ("edge",)


def test_the_expected_time_follows_what_answers_took() -> None:
    load = route.Load()
    assert load.expected_s() == 0
    load.observe(10)
    assert load.expected_s() == 10
    load.observe(20)
    assert 10 < load.expected_s() < 20


async def test_an_answer_that_ran_out_of_time_is_learnt_from() -> None:
    remote = FakeRemote()
    pipe = pipeline(remote=remote, generator=FakeGenerator(delay_s=60))
    await last_of(pipe.run(EASY, Deadline(0.5)))  # waits for the edge, then goes to the cloud
    edge = pipe._answerers["edge"]
    assert edge.expected_s() > 0.2


async def test_what_the_other_stack_did_without_is_said() -> None:
    remote = FakeRemote(degraded=("reranking", "cache"))
    assert (await ask(pipeline(remote=remote), HARD)).trace.degraded == ["reranking", "cache"]


async def test_names_that_only_the_other_stack_knows_are_one_label() -> None:
    remote = FakeRemote(degraded=("x1", "x2"))
    assert (await ask(pipeline(remote=remote), HARD)).trace.degraded == ["remote"]


async def test_a_paid_call_that_failed_is_not_called_free() -> None:
    result = await ask(pipeline(remote=FakeRemote(error=DOWN)), HARD)
    assert (result.served_by, result.trace.cost_usd) == ("edge", None)


def pipeline(settings: Settings = EDGE, **parts: Any) -> Pipeline:
    known: dict[str, Any] = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()}
    return Pipeline(Parts(**(known | parts)), settings)


async def ask(pipe: Pipeline, question: Question) -> Answer:
    return await last_of(pipe.run(question, Deadline(5)))


async def test_an_easy_question_stays_on_the_edge() -> None:
    remote = FakeRemote()
    result = await ask(pipeline(remote=remote), EASY)
    assert (result.served_by, remote.asked) == ("edge", [])


async def test_a_hard_question_goes_to_the_other_stack_with_its_filter() -> None:
    remote, here = FakeRemote(), FakeGenerator()
    result = await ask(pipeline(remote=remote, generator=here), Question(HARD.text, 3, author="ada"))
    assert (result.served_by, result.text, here.calls) == ("cloud", "From afar [1].", 0)
    assert remote.asked == [(HARD.text, 3, "ada")]
    assert result.trace.cost_usd == Decimal("0.001")


async def test_a_hard_question_goes_to_the_model_in_the_cloud_with_the_edges_sources() -> None:
    away = FakeGenerator(["Cloud answer [1]."])
    result = await ask(pipeline(fallback=away), HARD)
    assert (result.served_by, result.text) == ("cloud", "Cloud answer [1].")
    assert "Supervisor controls processes." in away.prompts[0][1].content


@pytest.mark.parametrize("question", [EASY, HARD])
async def test_a_local_only_edge_never_sends_a_question_away(question: Question) -> None:
    remote, away = FakeRemote(), FakeGenerator()
    result = await ask(pipeline(LOCAL_ONLY, remote=remote, fallback=away), question)
    assert (result.served_by, remote.asked, away.calls) == ("edge", [], 0)


async def test_a_local_only_edge_that_fails_does_not_fall_to_the_cloud() -> None:
    remote = FakeRemote()
    with pytest.raises(StageUnavailable):
        await ask(pipeline(LOCAL_ONLY, remote=remote, generator=FakeGenerator(error=DOWN)), EASY)
    assert remote.asked == []


async def test_an_edge_that_fails_falls_to_the_cloud() -> None:
    result = await ask(pipeline(remote=FakeRemote(), generator=FakeGenerator(error=DOWN)), EASY)
    assert (result.served_by, result.trace.degraded) == ("cloud", ["edge"])


async def test_a_cloud_that_fails_falls_to_the_edge() -> None:
    result = await ask(pipeline(remote=FakeRemote(error=DOWN)), HARD)
    assert (result.served_by, result.trace.degraded) == ("edge", ["cloud"])


async def test_both_failing_is_the_last_ones_error() -> None:
    with pytest.raises(StageUnavailable, match="down"):
        await ask(pipeline(remote=FakeRemote(error=DOWN), generator=FakeGenerator(error=DOWN)), EASY)


async def test_a_slow_edge_leaves_the_cloud_time_to_answer() -> None:
    pipe = pipeline(remote=FakeRemote(), generator=FakeGenerator(delay_s=60))
    result = await last_of(pipe.run(EASY, Deadline(0.5)))
    assert result.served_by == "cloud"


async def test_an_answer_that_has_begun_is_not_begun_again_elsewhere() -> None:
    here = FakeGenerator(error=DOWN, error_after=2)
    remote = FakeRemote()
    with pytest.raises(StageUnavailable):
        await ask(pipeline(remote=remote, generator=here), EASY)
    assert remote.asked == []


async def test_sources_are_sent_once_and_are_those_of_who_answered() -> None:
    pipe = pipeline(remote=FakeRemote(), generator=FakeGenerator(error=DOWN))
    found = [event async for event in pipe.run(EASY, Deadline(5)) if isinstance(event, Found)]
    assert [[source.id for source in event.sources] for event in found] == [["far"]]


async def test_a_question_that_the_edge_knows_nothing_of_goes_to_the_other_stack() -> None:
    result = await ask(pipeline(remote=FakeRemote(), store=FakeStore([])), EASY)
    assert result.served_by == "cloud"


async def test_a_question_that_nobody_can_answer_is_i_do_not_know() -> None:
    result = await ask(pipeline(remote=FakeRemote(error=DOWN), store=FakeStore([])), EASY)
    assert (result.text, result.trace.degraded) == (answer.UNKNOWN, ["cloud"])


async def test_a_model_in_the_cloud_is_not_asked_about_sources_that_say_nothing() -> None:
    away = FakeGenerator()
    result = await ask(pipeline(fallback=away, store=FakeStore([hit(score=0.1)])), HARD)
    assert (result.text, away.calls) == (answer.UNKNOWN, 0)
