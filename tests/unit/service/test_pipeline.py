from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.errors import BadRequest, DeadlineExceeded, StageUnavailable
from service.parts import Parts
from service.rag import answer
from service.rag.events import Answer, Found, Question, Token
from service.rag.pipeline import Pipeline, last_of
from service.resilience import Deadline
from service.settings import Settings
from tests.fakes import FakeDocuments, FakeEmbedder, FakeGenerator, FakeQueryModel, FakeReranker, FakeStore, hit

SETTINGS = Settings(vector_store="faiss", bundle_dir=Path("unused"), generator="llamacpp", llamacpp_url="http://unused")
QUESTION = Question("What controls processes?", top_k=3)
DOWN = StageUnavailable("somewhere", "down")


def pipeline(settings: Settings = SETTINGS, **parts: Any) -> Pipeline:
    known = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()} | parts
    return Pipeline(Parts(**known), settings)


async def ask(pipe: Pipeline, question: Question = QUESTION, total_s: float = 5.0) -> Answer:
    return await last_of(pipe.run(question, Deadline(total_s)))


async def test_an_answer_carries_its_sources_citations_and_usage() -> None:
    result = await ask(pipeline())
    assert result.text == "Supervisor controls processes [1]."
    assert (result.citations, [source.id for source in result.sources]) == ((1,), ["a"])
    assert (result.trace.usage.input_tokens, result.trace.usage.output_tokens) == (100, 4)


async def test_events_come_in_order_sources_tokens_answer() -> None:
    events = [event async for event in pipeline().run(QUESTION, Deadline(5))]
    assert [type(event) for event in events] == [Found, Token, Token, Token, Token, Answer]


async def test_stages_without_a_model_are_skipped_and_named() -> None:
    trace = (await ask(pipeline())).trace
    assert trace.skipped == ["self_query", "query_expansion", "reranking"]
    timings = trace.timings_ms()
    assert timings["self_query_ms"] == timings["query_expansion_ms"] == timings["reranking_ms"] == 0
    assert timings["retrieval_ms"] > 0
    assert timings["total_ms"] >= timings["retrieval_ms"] + timings["generation_ms"]


async def test_a_low_score_is_answered_with_i_do_not_know_and_no_model_call() -> None:
    generator = FakeGenerator()
    result = await ask(pipeline(store=FakeStore([hit(score=0.1)]), generator=generator))
    assert (result.text, result.sources, generator.calls) == (answer.UNKNOWN, (), 0)


async def test_nothing_found_is_answered_with_i_do_not_know() -> None:
    assert (await ask(pipeline(store=FakeStore([])))).text == answer.UNKNOWN


async def test_self_query_and_expansion_run_at_the_same_time() -> None:
    model = FakeQueryModel(variants=("other words",), delay_s=0.2)
    result = await ask(pipeline(query_model=model))
    stage = result.trace.stage_ms
    assert stage["self_query"] + stage["query_expansion"] > 390
    assert result.trace.timings_ms()["total_ms"] < 390


async def test_all_wordings_are_searched_and_deduplicated() -> None:
    embedder = FakeEmbedder()
    model = FakeQueryModel(variants=("other words", QUESTION.text, " "))
    await ask(pipeline(query_model=model, embedder=embedder))
    assert embedder.seen == [[QUESTION.text, "other words"]]


@pytest.mark.parametrize("model", [FakeQueryModel(error=DOWN), FakeQueryModel(delay_s=9)])
async def test_a_query_model_that_fails_or_hangs_costs_only_quality(model: FakeQueryModel) -> None:
    settings = SETTINGS.model_copy(update={"query_model_timeout_s": 0.05})
    result = await ask(pipeline(settings, query_model=model))
    assert result.text.startswith("Supervisor")
    assert {"query_expansion"} <= set(result.trace.degraded)


async def test_a_guessed_author_becomes_a_filter() -> None:
    store = FakeStore()
    documents = FakeDocuments({"Ada": ("u1", "u2")})
    await ask(pipeline(store=store, query_model=FakeQueryModel(author="Ada"), documents=documents))
    assert store.calls[0]["authors"] == ("u1", "u2")


@pytest.mark.parametrize("documents", [FakeDocuments(error=StageUnavailable("documents", "down")), FakeDocuments({})])
async def test_a_guessed_author_who_can_not_be_looked_up_is_dropped(documents: FakeDocuments) -> None:
    store = FakeStore()
    result = await ask(pipeline(store=store, query_model=FakeQueryModel(author="Ada"), documents=documents))
    assert store.calls[0]["authors"] is None
    assert result.trace.degraded == (["documents"] if documents.error else [])


async def test_a_guessed_author_of_whom_nothing_is_found_is_dropped() -> None:
    store = FakeStore([])
    await ask(pipeline(store=store, query_model=FakeQueryModel(author="ada"), documents=None))
    assert [call["authors"] for call in store.calls] == [("ada",), None]


async def test_a_requested_author_is_never_dropped_when_the_lookup_fails() -> None:
    store = FakeStore()
    pipe = pipeline(store=store, documents=FakeDocuments(error=StageUnavailable("documents", "down")))
    with pytest.raises(StageUnavailable) as caught:
        await ask(pipe, replace(QUESTION, author="Ada"))
    assert (caught.value.stage, store.calls) == ("documents", [])


async def test_a_requested_author_whom_nobody_knows_matches_nothing() -> None:
    store = FakeStore()
    await ask(pipeline(store=store, documents=FakeDocuments({})), replace(QUESTION, author="Nobody"))
    assert store.calls[0]["authors"] == ()


async def test_a_requested_author_is_not_replaced_by_a_guess() -> None:
    store, model = FakeStore(), FakeQueryModel(author="Grace")
    documents = FakeDocuments({"Ada": ("u1",), "Grace": ("u2",)})
    await ask(pipeline(store=store, query_model=model, documents=documents), replace(QUESTION, author="Ada"))
    assert store.calls[0]["authors"] == ("u1",)


async def test_reranking_reorders_the_candidates_in_one_batch() -> None:
    hits = [hit("a", text="first"), hit("b", text="second"), hit("c", text="third")]
    reranker = FakeReranker({"third": 9.0, "first": 1.0})
    result = await ask(pipeline(store=FakeStore(hits), reranker=reranker), replace(QUESTION, top_k=2))
    assert [source.id for source in result.sources] == ["c", "a"]
    assert reranker.batches == [["first", "second", "third"]]


async def test_a_reranker_that_fails_leaves_the_order_and_says_so() -> None:
    hits = [hit("a"), hit("b")]
    result = await ask(pipeline(store=FakeStore(hits), reranker=FakeReranker(error=DOWN)))
    assert [source.id for source in result.sources] == ["a", "b"]
    assert result.trace.degraded == ["reranking"]


async def test_without_a_generator_the_answer_is_refused_and_search_still_works() -> None:
    pipe = pipeline(generator=None)
    with pytest.raises(StageUnavailable, match="no generator is configured; use /search"):
        await ask(pipe)


async def test_a_generator_that_hangs_ends_at_the_requests_deadline() -> None:
    generator = FakeGenerator(delay_s=30)
    with pytest.raises(DeadlineExceeded, match=r"0\.2 s are used up in stage generation"):
        await ask(pipeline(generator=generator), total_s=0.2)
    assert generator.closed == 1


async def test_closing_the_events_closes_the_model_call() -> None:
    generator = FakeGenerator()
    events = pipeline(generator=generator).run(QUESTION, Deadline(5))
    await anext(events)
    await anext(events)
    await events.aclose()
    assert generator.closed == 1


async def test_cancelling_the_request_closes_the_model_call() -> None:
    generator = FakeGenerator(delay_s=30)
    task = asyncio.create_task(ask(pipeline(generator=generator)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert generator.closed == 1


async def test_an_answer_is_never_longer_than_the_setting_allows() -> None:
    generator = FakeGenerator()
    settings = SETTINGS.model_copy(update={"max_output_tokens": 40})
    built: list[int] = []
    original = generator.stream

    def spy(messages: Any, *, max_tokens: int) -> Any:
        built.append(max_tokens)
        return original(messages, max_tokens=max_tokens)

    generator.stream = spy  # type: ignore[method-assign]
    await ask(pipeline(settings, generator=generator), replace(QUESTION, max_tokens=900))
    assert built == [40]


@pytest.mark.parametrize(
    ("changes", "parts", "cost"),
    [
        ({}, {}, Decimal(0)),
        ({"generator": "openai"}, {}, Decimal("0.0000174")),  # 100 tokens at 0.15, 4 at 0.60 USD a million
        ({"generator": "openai", "generation_model": "unheard-of"}, {}, None),
        ({"generator": "sagemaker"}, {}, None),
        ({"generator": "sagemaker", "generation_usd_per_mtok": (Decimal(1), Decimal(10))}, {}, Decimal("0.00014")),
        ({"query_model": "openai"}, {"query_model": FakeQueryModel()}, Decimal("0.0000087")),
        ({}, {"query_model": FakeQueryModel()}, None),
        ({"query_model": "openai"}, {"query_model": FakeQueryModel(error=DOWN)}, None),
    ],
)
async def test_an_answer_says_what_it_cost_and_never_calls_free_what_has_no_known_price(
    changes: dict[str, Any], parts: dict[str, Any], cost: Decimal | None
) -> None:
    assert (await ask(pipeline(SETTINGS.model_copy(update=changes), **parts))).trace.cost_usd == cost


async def test_a_question_that_fits_no_model_is_refused_before_the_query_model_is_paid() -> None:
    query_model = FakeQueryModel()
    pipe = pipeline(query_model=query_model, generator=FakeGenerator(context_tokens=256))
    with pytest.raises(BadRequest, match="shorten the query"):
        await ask(pipe, Question("word " * 300, 3))
    assert query_model.calls == 0


async def test_a_model_that_does_not_begin_is_given_up_before_the_deadline() -> None:
    impatient = SETTINGS.model_copy(update={"first_token_timeout_s": 0.05})
    with pytest.raises(StageUnavailable, match=r"generation: no answer within 0\.05 s"):
        await ask(pipeline(impatient, generator=FakeGenerator(delay_s=0.5)))
