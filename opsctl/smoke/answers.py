"""Answers in every form that the service gives them: streamed, in OpenAI's shape, filtered, kept, and in time."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any

from opsctl.errors import CheckFailed, OpsctlError
from opsctl.smoke.check import Check, Evidence, NotApplicable, expect
from opsctl.smoke.client import is_loopback, trusted
from opsctl.smoke.contract import Health, Hit, RagAnswer, SearchResult, parse
from opsctl.smoke.core import BROAD_QUERY, TOP_K, known_items

if TYPE_CHECKING:
    from opsctl.smoke.check import Asking

MOST_HITS = 20
TIMED = 5  # answers; each costs what an answer costs
NOBODY = "Nobody of this name ever wrote here"
KEPT = "cache"  # as /health names it


async def streaming(asking: Asking) -> Evidence:
    """Hold that a stream brings sources, then the answer in pieces, then its end, and not all at once."""
    question = await _question(asking)
    body = {"query": question, "topK": TOP_K, "stream": True}
    reply, events = await asking.service.events("/rag", body, limit_s=asking.limit_s)
    expect(reply, 200)
    names = [event.name for event in events]
    if names[:1] != ["sources"] or names[-1:] != ["done"] or "token" not in names:
        raise CheckFailed(
            f"the stream is {', '.join(dict.fromkeys(names)) or 'no event stream'}; not sources, token, done",
            next_step="check that nothing between opsctl and the service buffers, then read the service's log",
        )
    first = next(event for event in events if event.name == "token")
    facts = {"firstTokenMs": round(first.at_s * 1000, 1), "totalMs": round(events[-1].at_s * 1000, 1)}
    return Evidence(f"{names.count('token')} pieces, the first after {first.at_s:.1f} s", facts)


async def openai_api(asking: Asking) -> Evidence:
    """Hold that OpenAI's own client is answered, whole and streamed."""
    import openai  # noqa: PLC0415 - a heavy client, for this check alone

    service = asking.service
    plain = openai.DefaultAsyncHttpxClient(verify=trusted(), trust_env=not is_loopback(service.url))
    client = openai.AsyncOpenAI(
        base_url=f"{service.url}/v1",
        api_key=service.api_key or "none",
        max_retries=0,
        timeout=asking.limit_s,
        http_client=plain,
    )
    messages: Any = [{"role": "user", "content": await _question(asking)}]
    try:
        async with asyncio.timeout(asking.limit_s), client:
            model = (await client.models.list()).data[0].id
            whole = await client.chat.completions.create(model=model, messages=messages)
            stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    except (openai.OpenAIError, TimeoutError, IndexError) as exc:
        raise CheckFailed(
            f"OpenAI's client got no answer: {str(exc) or type(exc).__name__}", next_step="read the service's log"
        ) from exc
    if not whole.choices[0].message.content or not "".join(pieces).strip():
        raise CheckFailed("OpenAI's client got an empty answer", next_step="read the service's log")
    return Evidence(f"model {model}: whole, and in {len(pieces)} pieces", {"model": model, "pieces": len(pieces)})


async def collections(asking: Asking) -> Evidence:
    """Hold that every collection is searched."""
    if not asking.collections:
        raise NotApplicable("nobody says which collections there are")
    seen: dict[str, int] = {}
    for query in (BROAD_QUERY, *(golden.question for golden in asking.golden)):
        for hit in await _hits(asking, query):
            seen[hit.collection] = seen.get(hit.collection, 0) + 1
    missing = [name for name in asking.collections if name not in seen]
    if missing:
        raise CheckFailed(
            f"no hit from {', '.join(missing)}; only from {', '.join(seen) or 'nothing'}",
            next_step="fill it: service.jobs.ingest; or give --golden a question about a document of it",
        )
    return Evidence(", ".join(f"{name} {seen[name]}" for name in asking.collections), {"hits": seen})


async def author_filter(asking: Asking) -> Evidence:
    """Hold that a filter by author lets through that author's documents, and for nobody's name no document."""
    named = [hit.author for hit in await _hits(asking, BROAD_QUERY) if hit.author not in {"", "unknown"}]
    if not named:
        raise NotApplicable("the documents name no author")
    author = named[0]
    found = await _hits(asking, BROAD_QUERY, author)
    others = sorted({hit.author for hit in found} - {author})
    if others or not found:
        raise CheckFailed(
            f"asked for {author}'s, /search gives {'those of ' + ', '.join(others) if others else 'nothing'}",
            next_step="check the payload index on author, and the authors in MongoDB",
        )
    if strangers := await _hits(asking, BROAD_QUERY, NOBODY):
        raise CheckFailed(
            f"asked for nobody's, /search gives {strangers[0].author}'s", next_step="read the service's log"
        )
    return Evidence(f"{len(found)} hits, all by {author}; none for nobody", {"author": author, "hits": len(found)})


async def kept_answer(asking: Asking) -> Evidence:
    """Hold that the same question again is answered from the cache."""
    state = parse(Health, await asking.service.get("/health", limit_s=asking.limit_s)).dependencies.get(KEPT, "")
    if state == "not configured":
        raise NotApplicable("no cache is configured")
    question = await _question(asking)
    first, again = [await _asked(asking, question) for _ in range(2)]
    if not again.cached:
        why = f"the answer is degraded: {', '.join(again.degraded)}" if again.degraded else f"the cache is {state}"
        raise CheckFailed(f"the same question again was not answered from the cache; {why}", next_step="check /health")
    saved = first.timings.total_ms - again.timings.total_ms
    return Evidence(
        f"{again.timings.total_ms:.0f} ms from the cache, {saved:.0f} ms less", {"savedMs": round(saved, 1)}
    )


async def latency(asking: Asking) -> Evidence:
    """Hold that answers come within the promised time; none of them may come from the cache."""
    if asking.slo_s is None:
        raise NotApplicable("no time is promised")
    questions = [golden.question for golden in asking.golden or await known_items(asking)]
    fresh = (f"{question} ({number})" for number, question in enumerate(questions * TIMED, 1))  # in no cache
    answers = [await _asked(asking, question) for question in islice(fresh, TIMED)]
    slowest_s = max(answer.timings.total_ms for answer in answers) / 1000
    facts = {"totalMs": [answer.timings.total_ms for answer in answers], "promisedSeconds": asking.slo_s}
    if slowest_s > asking.slo_s:
        raise CheckFailed(
            f"the slowest of {TIMED} answers took {slowest_s:.1f} s, promised are {asking.slo_s:g} s",
            next_step="see which stage took it: timings of /rag, `opsctl endpoint status`",
        )
    return Evidence(f"the slowest of {TIMED} answers took {slowest_s:.1f} s of {asking.slo_s:g} s", facts)


async def model_endpoint(asking: Asking) -> Evidence:
    """Hold that the model itself answers, without the service in between."""
    if asking.model is None:
        raise NotApplicable("the stack has no model endpoint")
    try:
        trial = await asyncio.to_thread(asking.model)
    except CheckFailed:
        raise
    except OpsctlError as exc:
        raise CheckFailed(exc.problem, next_step=exc.next_step) from exc
    facts = {"firstTokenMs": round(trial.first_token_s * 1000, 1), "outputTokens": trial.output_tokens}
    return Evidence(f"{trial.output_tokens} tokens in {trial.total_s:.1f} s", facts)


async def _question(asking: Asking) -> str:
    return (asking.golden or await known_items(asking))[0].question


async def _asked(asking: Asking, question: str) -> RagAnswer:
    reply = await asking.service.post("/rag", {"query": question, "topK": TOP_K}, limit_s=asking.limit_s)
    return parse(RagAnswer, expect(reply, 200))


async def _hits(asking: Asking, query: str, author: str | None = None) -> list[Hit]:
    body = {"query": query, "topK": MOST_HITS} | ({"filters": {"author": author}} if author else {})
    return parse(SearchResult, expect(await asking.service.post("/search", body, limit_s=asking.limit_s), 200)).results


ANSWERS = (
    Check("streaming", streaming, limit_s=600, needs="rag"),
    Check("openai api", openai_api, limit_s=600, needs="rag"),
    Check("collections", collections, limit_s=30, needs="search"),
    Check("author filter", author_filter, limit_s=30, needs="search"),
    Check("cached repeat", kept_answer, limit_s=600, needs="rag"),
    Check("latency", latency, limit_s=600, needs="rag"),
    Check("model endpoint", model_endpoint, limit_s=120),
)
