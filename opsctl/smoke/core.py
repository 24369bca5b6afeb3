"""The core of a smoke test: what every deployment must do, in order. Cheap enough for a canary."""

from __future__ import annotations

import re
from textwrap import shorten

from opsctl.errors import CheckFailed
from opsctl.smoke.check import SHOWN_CHARS, Asking, Check, Evidence, expect
from opsctl.smoke.contract import Hit, Problem, RagAnswer, Ready, SearchResult, parse
from opsctl.smoke.golden import Golden

TOP_K = 3
BROAD_QUERY = "What is it, and how is it used?"
KNOWN_ITEM_CHARS = 300
CITATION = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")


async def livez(asking: Asking) -> Evidence:
    """Hold that the process answers."""
    expect(await asking.service.get("/livez", limit_s=asking.limit_s), 200)
    return Evidence("the process answers")


async def readyz(asking: Asking) -> Evidence:
    """Hold that models are warm, the service is not draining, and it is the release that was asked for."""
    release = parse(Ready, expect(await asking.service.get("/readyz", limit_s=asking.limit_s), 200)).release
    if asking.release is not None and release != asking.release:
        raise CheckFailed(
            f"release {release} answers, not {asking.release}",
            next_step="check that the address leads to this stack, then run the smoke test again",
        )
    return Evidence("warmed up, not draining", {"release": release})


async def search(asking: Asking) -> Evidence:
    """Hold that the best hit of every golden question is its right document."""
    scores: list[float] = []
    questions = asking.golden or await known_items(asking)
    for golden in questions:
        best = (await found(asking, golden.question))[0]
        if not golden.names(best.title, best.collection):
            raise CheckFailed(
                f"the best hit of '{golden.question}' is '{best.title}', not '{golden.title}'",
                next_step="rebuild the index, or give --golden with questions about your own documents",
            )
        scores.append(best.score)
    titles = [golden.title for golden in questions]
    rows = [{"question": g.question, "title": g.title, "score": s} for g, s in zip(questions, scores, strict=True)]
    return Evidence(f"{len(titles)} of {len(titles)} best hits right: {', '.join(titles)}", {"hits": rows})


async def rag(asking: Asking) -> Evidence:
    """Hold that a question is answered from its right document, with timings, and who served it."""
    golden = (asking.golden or await known_items(asking))[0]
    body = {"query": golden.question, "topK": TOP_K}
    reply = expect(await asking.service.post("/rag", body, limit_s=asking.limit_s), 200)
    said = parse(RagAnswer, reply)
    if not said.sources:
        raise CheckFailed(
            f"/rag found nothing that covers the question '{golden.question}'",
            next_step="fill the index, or give --golden with questions about your own documents",
        )
    if not any(golden.names(source.title, source.collection) for source in said.sources):
        titles = ", ".join(source.title for source in said.sources)
        raise CheckFailed(
            f"the sources are {titles}; '{golden.title}' is not among them",
            next_step="rebuild the index, or give --golden with questions about your own documents",
        )
    cited = _citations(said, demanded=golden.cited)
    words = [f"served by {said.served_by} in {said.timings.total_ms / 1000:.1f} s"]
    words.append(f"cites {', '.join(cited) or 'nothing'}")
    if said.degraded:
        words.append(f"degraded: {', '.join(said.degraded)}")
    return Evidence("; ".join(words), {"question": golden.question, **said.model_dump(by_alias=True)})


async def bad_request(asking: Asking) -> Evidence:
    """Hold that an empty query is refused as 422 problem+json, and nothing of the inside shows."""
    reply = await asking.service.post("/rag", {"query": ""}, limit_s=asking.limit_s)
    expect(reply, 422)
    if reply.media_type != "application/problem+json":
        raise CheckFailed(
            f"an error is {reply.media_type or 'without a type'}, not application/problem+json",
            next_step="check what stands between opsctl and the service",
        )
    if "Traceback" in reply.text:
        raise CheckFailed("an error shows a traceback", next_step="deploy a service of the same version as opsctl")
    problem = parse(Problem, reply)
    return Evidence(f"422: {problem.detail}", {"problem": problem.model_dump(by_alias=True)})


CORE = (
    Check("livez", livez, limit_s=10),
    Check("readyz", readyz, limit_s=10, needs="livez"),
    Check("search", search, limit_s=30, needs="livez"),
    Check("rag", rag, limit_s=600, needs="livez"),
    Check("bad request", bad_request, limit_s=30, needs="livez"),
)


async def found(asking: Asking, query: str) -> list[Hit]:
    """What `query` finds, best first; at least one."""
    body = {"query": query, "topK": TOP_K}
    reply = expect(await asking.service.post("/search", body, limit_s=asking.limit_s), 200)
    results = parse(SearchResult, reply).results
    if not results:
        raise CheckFailed(f"'{query}' finds nothing", next_step="fill the index: service.jobs.ingest")
    return results


async def known_items(asking: Asking) -> tuple[Golden, ...]:
    """Make a question of the text of each document that a broad query finds: the text must find its own document."""
    hits = {(hit.title, hit.collection): hit for hit in await found(asking, BROAD_QUERY) if hit.text.strip()}
    if not hits:
        raise CheckFailed("/search gives no text to make a question of", next_step="give questions: --golden FILE")
    return tuple(
        Golden(question=shorten(hit.text, KNOWN_ITEM_CHARS, placeholder=""), title=hit.title, collection=hit.collection)
        for hit in hits.values()
    )


def _citations(said: RagAnswer, *, demanded: bool) -> list[str]:
    numbers = sorted({int(n) for group in CITATION.findall(said.answer) for n in group.split(",")})
    outside = [n for n in numbers if not 1 <= n <= len(said.sources)]
    if outside:
        raise CheckFailed(
            f"the answer cites {outside}, there are {len(said.sources)} sources", next_step="read the service's log"
        )
    if demanded and not numbers:
        shown = shorten(said.answer, SHOWN_CHARS, placeholder=" ...")
        raise CheckFailed(f"the answer cites none of its sources: {shown}", next_step="read the service's log")
    return [f"[{n}] {said.sources[n - 1].title}" for n in numbers]
