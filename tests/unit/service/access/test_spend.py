"""A spending limit: what is set aside, what is given back, and that no number of requests at once gets past it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from service.access.caller import Caller, Limits
from service.access.opening import open_access
from service.access.spend import LimitedAccount, Spending
from service.access.windows import LocalWindows
from service.adapters import openai_models
from service.errors import CircuitOpen, LimitExceeded, StageUnavailable, StartupError
from service.parts import Parts
from service.rag import spending as bounds
from service.rag.events import Answer, Question
from service.rag.pipeline import Pipeline, last_of
from service.rag.trace import Trace
from service.resilience import Breakers, Deadline
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeQueryModel, FakeStore
from tests.hashed_keys import hashed, key_book
from tests.in_process import calling

# A dollar per thousand tokens: an answer that fills the window of 2,048 and writes 12 is 2.06 USD at most,
# and what the fakes count (100 and 4) is 0.104 USD.
PRICE = (Decimal(1000), Decimal(1000))
MOST, COST = Decimal("2.060"), Decimal("0.104")
SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    generator="sagemaker",
    sagemaker_endpoint="twin",
    generation_usd_per_mtok=PRICE,
    max_output_tokens=12,
    metrics_port=0,
)


def pipeline(settings: Settings = SETTINGS, **parts: Any) -> Pipeline:
    known = {"embedder": FakeEmbedder(), "store": FakeStore(), "generator": FakeGenerator()} | parts
    return Pipeline(Parts(**known), settings)


class Money:
    """One caller's account, and what is counted of it."""

    def __init__(self, usd_per_hour: str) -> None:
        self.limit = Decimal(usd_per_hour)
        self.spending = Spending(LocalWindows(), Limits(usd_per_hour=self.limit))
        account = self.spending.account(Caller("ada"))
        assert account is not None
        self.account: LimitedAccount = account

    async def spent(self) -> Decimal:
        """All but what can still be set aside, to a millionth of a dollar."""
        await self.spending.aclose()
        low, high = 0, int(self.limit * 10**6)
        while low < high:
            middle = (low + high + 1) // 2
            try:
                hold = await self.account.reserve(Decimal(middle) / 10**6)
            except LimitExceeded:
                high = middle - 1
            else:
                low = middle
                hold.settle(Decimal(0))
                await self.spending.aclose()
        return self.limit - Decimal(low) / 10**6


def question(money: Money, text: str = "What controls processes?") -> Question:
    return Question(text, 3, account=money.account)


async def ask(pipe: Pipeline, money: Money) -> Answer:
    return await last_of(pipe.run(question(money), Deadline(5.0)))


async def test_what_was_set_aside_is_given_back_but_for_what_was_spent() -> None:
    money = Money("10")
    answer = await ask(pipeline(), money)
    assert (answer.trace.cost_usd, await money.spent()) == (COST, COST)


async def test_no_number_of_requests_at_once_spends_more_than_the_limit() -> None:
    money, generator = Money("7"), FakeGenerator(delay_s=0.01)
    pipe = pipeline(generator=generator)
    ended = await asyncio.gather(*(ask(pipe, money) for _ in range(50)), return_exceptions=True)
    refused = [one for one in ended if isinstance(one, LimitExceeded)]
    assert generator.calls == 3  # three times 2.06 fit into 7
    assert len(refused) == 47
    assert "usdPerHour: 7 USD an hour are allowed to this key" in refused[0].detail
    assert (refused[0].retry_after_s or 0) > 0
    assert await money.spent() == 3 * COST


async def test_a_request_that_the_limit_can_never_cover_is_refused_before_any_call() -> None:
    generator, query_model, money = FakeGenerator(), FakeQueryModel(), Money("0.5")
    with pytest.raises(LimitExceeded, match=r"does not cover the 2\.06\d+ that this request can cost"):
        await ask(pipeline(generator=generator, query_model=query_model), money)
    assert (generator.calls, query_model.calls, await money.spent()) == (0, 0, 0)


async def test_a_stream_that_its_reader_leaves_counts_as_the_most_it_can_have_cost() -> None:
    money, generator = Money("10"), FakeGenerator()
    events = pipeline(generator=generator).run(question(money), Deadline(5.0))
    await anext(events)
    await anext(events)
    await events.aclose()
    assert generator.closed == 1
    assert await money.spent() == MOST


async def test_a_request_that_is_cancelled_while_the_model_works_counts_too() -> None:
    money = Money("10")
    asking = asyncio.create_task(ask(pipeline(generator=FakeGenerator(delay_s=5)), money))
    await asyncio.sleep(0.05)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert await money.spent() == MOST


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (StageUnavailable("generation", "no answer within 8 s"), MOST),  # may be billed all the same
        (CircuitOpen("generation", "left alone"), Decimal(0)),
    ],
)
async def test_a_call_that_failed_counts_unless_it_surely_did_nothing(error: Exception, counted: Decimal) -> None:
    money = Money("10")
    with pytest.raises(type(error)):
        await ask(pipeline(generator=FakeGenerator(error=error)), money)
    assert await money.spent() == counted


async def test_a_model_that_does_not_count_its_tokens_is_taken_for_the_most() -> None:
    class Silent(FakeGenerator):
        async def stream(self, messages: Any, *, max_tokens: int) -> Any:
            async for delta in FakeGenerator.stream(self, messages, max_tokens=max_tokens):
                yield delta if delta.usage is None else type(delta)(finish_reason="stop")

    money = Money("10")
    answer = await ask(pipeline(generator=Silent()), money)
    assert (answer.trace.cost_usd, await money.spent()) == (None, MOST)


async def test_a_search_is_paid_for_by_its_query_model_alone() -> None:
    money = Money("10")
    settings = SETTINGS.model_copy(update={"query_model": "openai", "query_model_usd_per_mtok": PRICE})
    await pipeline(settings, query_model=FakeQueryModel()).search(question(money), Trace(), Deadline(5.0))
    assert await money.spent() == Decimal("0.037")


async def test_callers_do_not_share_an_account_and_without_a_limit_there_is_none() -> None:
    spending = Spending(LocalWindows(), Limits())
    assert spending.account(Caller("ada")) is None
    one, other = (spending.account(Caller(name, Limits(usd_per_hour=Decimal(1)))) for name in ("ada", "bob"))
    assert one is not None
    assert other is not None
    await one.reserve(Decimal(1))
    await other.reserve(Decimal(1))
    with pytest.raises(LimitExceeded):
        await one.reserve(Decimal("0.000000001"))


def test_what_the_query_model_is_asked_is_within_what_is_set_aside_for_it() -> None:
    query, count = "What controls processes?", 5
    schemas = (openai_models._Author, openai_models._variants(count))
    for task, schema in zip((openai_models.SELF_QUERY, openai_models.EXPAND), schemas, strict=True):
        sent = len(task) + len(str(schema.model_json_schema()))
        assert sent <= bounds.QUERY_MODEL_BYTES
    assert bounds.self_query_at_most(query).output_tokens >= openai_models.AUTHOR_TOKENS
    assert openai_models.VARIANT_TOKENS * count <= bounds.expansion_at_most(query, count).output_tokens


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"usd_per_hour": Decimal(1)}, "RAG_USD_PER_HOUR: a limit needs the price of every paid model; set RAG_GEN"),
        ({}, "usdPerHour of a key: a limit needs the price of every paid model; set RAG_GENERATION_USD_PER_MTOK"),
    ],
)
async def test_a_limit_on_a_model_without_a_price_is_refused_at_start(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    book = tmp_path / "keys.json"
    book.write_text(key_book(hashed("ada", "ada-key", usdPerHour=1.5)))
    known = {"auth": "api-keys", "api_keys_from": str(book), "generation_usd_per_mtok": None}
    with pytest.raises(StartupError, match=reason):
        async with open_access(SETTINGS.model_copy(update=known | changes), Breakers()):
            pass


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rag", {"query": "What controls processes?"}),
        ("/rag", {"query": "What controls processes?", "stream": True}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "What controls processes?"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True}),
    ],
)
async def test_over_the_limit_every_way_to_ask_is_a_429_that_names_it(path: str, body: dict[str, Any]) -> None:
    generator = FakeGenerator()
    settings = SETTINGS.model_copy(update={"usd_per_hour": MOST + Decimal("0.01")})
    async with calling(settings, generator=generator) as http:
        first = await http.post(path, json=body)
        await asyncio.sleep(0)
        second = await http.post(path, json=body)
    assert (first.status_code, second.status_code, generator.calls) == (200, 429, 1)
    assert "usdPerHour: " in second.json()["detail"]
    assert int(second.headers["retry-after"]) > 3000
