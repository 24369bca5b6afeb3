from __future__ import annotations

import pytest

from service.errors import StageUnavailable
from service.rag import retrieve
from service.rag.trace import Trace
from service.resilience import Deadline
from tests.fakes import FakeEmbedder, FakeStore, hit


def test_fusion_prefers_what_several_rankings_agree_on() -> None:
    a, b, c = hit("a", score=0.9), hit("b", score=0.8), hit("c", score=0.7)
    assert [found.id for found in retrieve.fuse([[a, b], [b, c]])] == ["b", "a", "c"]


def test_fusion_keeps_each_chunk_once_with_its_best_score() -> None:
    fused = retrieve.fuse([[hit("a", score=0.5)], [hit("a", score=0.9)], [hit("a", score=0.7)]])
    assert [(found.id, found.score) for found in fused] == [("a", 0.9)]


def test_fusion_of_one_ranking_changes_nothing() -> None:
    ranking = [hit(name, score=score) for name, score in (("a", 0.9), ("b", 0.8), ("c", 0.1))]
    assert retrieve.fuse([ranking]) == ranking


async def search(embedder: FakeEmbedder, store: FakeStore, *, limit_s: float = 1.0, total_s: float = 5.0) -> list[str]:
    found = await retrieve.search(
        ["one", "two"],
        embedder=embedder,
        store=store,
        collections=("posts",),
        limit=2,
        authors=None,
        trace=Trace(),
        deadline=Deadline(total_s),
        limit_s=limit_s,
    )
    return [chunk.id for chunk in found]


async def test_all_wordings_are_embedded_and_searched_at_once() -> None:
    embedder, store = FakeEmbedder(), FakeStore([hit("a"), hit("b"), hit("c")])
    assert await search(embedder, store) == ["a", "b"]
    assert embedder.seen == [["one", "two"]]
    assert [call["n"] for call in store.calls] == [2]


async def test_a_store_that_hangs_is_named_when_its_own_limit_ends() -> None:
    with pytest.raises(StageUnavailable, match=r"retrieval: no answer within 0.05 s") as caught:
        await search(FakeEmbedder(), FakeStore(delay_s=5), limit_s=0.05)
    assert caught.value.stage == "retrieval"
