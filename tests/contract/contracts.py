"""What every adapter of a port must do. A subclass gives the fixture that is named in its contract's docstring."""

from __future__ import annotations

import asyncio
import string
import uuid
from contextlib import aclosing

import numpy as np
import pytest

from service.ports import Cache, Delta, Documents, Embedder, Generator, Message, QueryModel, Reranker, VectorStore
from tests.contract.conftest import COLLECTIONS, Library

PROMPT = [Message("system", "Answer in full sentences."), Message("user", "What does a supervisor do?")]


class EmbedderContract:
    """Fixture `embedder`."""

    async def test_vectors_are_unit_float32_rows_in_order(self, embedder: Embedder) -> None:
        texts = ["a cat sleeps", "stock markets fell", "", "naïve 数据 😀", "word " * 2000]
        vectors = await embedder.embed(texts)
        assert vectors.shape == (len(texts), embedder.dimension)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        alone = await embedder.embed([texts[1]])
        assert float(alone[0] @ vectors[1]) > 0.99

    async def test_nothing_to_embed_is_no_rows(self, embedder: Embedder) -> None:
        assert (await embedder.embed([])).shape == (0, embedder.dimension)

    async def test_related_texts_are_nearer_than_others(self, embedder: Embedder) -> None:
        cat, kitten, market = await embedder.embed(["a cat sleeps", "a kitten is napping", "stock markets fell"])
        assert cat @ kitten > cat @ market + 0.2

    async def test_concurrent_calls_get_their_own_vectors(self, embedder: Embedder) -> None:
        texts = [f"text number {n}" for n in range(12)]
        expected = await embedder.embed(texts)
        singly = await asyncio.gather(*(embedder.embed([text]) for text in texts))
        assert all(float(one[0] @ row) > 0.99 for one, row in zip(singly, expected, strict=True))

    async def test_a_caller_that_leaves_disturbs_nobody(self, embedder: Embedder) -> None:
        leaving = asyncio.create_task(embedder.embed(["gone"] * 4))
        staying = asyncio.create_task(embedder.embed(["here"]))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).shape == (1, embedder.dimension)


class VectorStoreContract:
    """Fixture `store`, filled with the library's chunks."""

    async def test_each_vector_gets_its_own_list_over_all_collections(
        self, store: VectorStore, library: Library
    ) -> None:
        queries = ["Who found a moth in a relay?", "weaving patterns with a loom", "a machine that broke Enigma"]
        vectors = library.embedder.embed_now(queries)
        found = await store.search(vectors, collections=COLLECTIONS, limit=3)
        for query, hits in zip(queries, found, strict=True):
            expected = library.exact(query)[:3]
            assert [hit.id for hit in hits] == [key for key, _ in expected]
            assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-3)

    async def test_a_hit_carries_what_the_answer_shows(self, store: VectorStore, library: Library) -> None:
        [[hit]] = await store.search(library.vectors[:1], collections=COLLECTIONS, limit=1)
        chunk = library.chunks[0]
        assert (hit.id, hit.collection, hit.title, hit.url, hit.author, hit.text) == (
            chunk.id, chunk.collection, chunk.title, chunk.url, chunk.author, chunk.text,
        )  # fmt: skip

    async def test_only_the_asked_collections_are_searched(self, store: VectorStore, library: Library) -> None:
        [hits] = await store.search(library.vectors[:1], collections=("articles", "repos"), limit=10)
        assert {hit.collection for hit in hits} == {"articles", "repos"}
        assert len(hits) == 4

    async def test_authors_restrict_the_result(self, store: VectorStore, library: Library) -> None:
        authors = ["Grace Hopper", "Alan Turing"]
        [hits] = await store.search(library.vectors[:1], collections=COLLECTIONS, limit=10, authors=authors)
        assert {hit.author for hit in hits} == set(authors)
        assert len(hits) == 4

    @pytest.mark.parametrize("authors", [[], ["nobody"]])
    async def test_no_known_author_matches_nothing(
        self, store: VectorStore, library: Library, authors: list[str]
    ) -> None:
        found = await store.search(library.vectors[:2], collections=COLLECTIONS, limit=3, authors=authors)
        assert found == [[], []]

    async def test_no_vectors_is_no_lists(self, store: VectorStore, library: Library) -> None:
        assert await store.search(library.vectors[:0], collections=COLLECTIONS, limit=3) == []

    async def test_the_version_stays_while_the_content_does(self, store: VectorStore) -> None:
        assert await store.version() == await store.version() != ""

    async def test_ping_passes(self, store: VectorStore) -> None:
        await store.ping()


class DocumentsContract:
    """Fixture `documents`, which knows the users Ada Lovelace, Alan Turing and Grace Hopper."""

    async def test_a_name_matches_whatever_its_case(self, documents: Documents) -> None:
        ids = await documents.author_ids("Ada Lovelace")
        assert len(ids) == 1
        assert all(isinstance(one, str) and one for one in ids)
        assert await documents.author_ids("ADA lovelace") == ids != await documents.author_ids("Alan Turing")

    @pytest.mark.parametrize("name", ["Nobody", "Ada", "Lovelace", "Ada Lovelace Jr", "", " ", "\0", "a" * 500])
    async def test_a_name_matches_whole_or_not_at_all(self, documents: Documents, name: str) -> None:
        assert await documents.author_ids(name) == ()

    @pytest.mark.parametrize("name", [".*", "Ada.Lovelace", "^Ada", '{"$ne": null}', "%", "' OR 1=1 --", "(", "\\"])
    async def test_a_name_is_data_and_no_pattern(self, documents: Documents, name: str) -> None:
        assert await documents.author_ids(name) == ()

    async def test_ping_passes(self, documents: Documents) -> None:
        await documents.ping()


class QueryModelContract:
    """Fixture `query_model`."""

    async def test_an_author_is_in_the_query_or_absent(self, query_model: QueryModel) -> None:
        query = "What did Ada Lovelace write about looms?"
        found = await query_model.self_query(query)
        assert found.author is None or found.author.casefold() in query.casefold()
        assert found.usage.input_tokens > 0
        assert found.usage.output_tokens > 0

    @pytest.mark.parametrize("count", [1, 3])
    async def test_expansion_gives_at_most_the_asked_number(self, query_model: QueryModel, count: int) -> None:
        expansion = await query_model.expand("How do I configure logging?", count)
        assert len(expansion.variants) <= count
        assert all(variant == variant.strip() != "" for variant in expansion.variants)
        assert expansion.usage.input_tokens > 0


class RerankerContract:
    """Fixture `reranker`."""

    async def test_one_finite_score_per_text_in_order(self, reranker: Reranker) -> None:
        texts = ["abc", "xyz xyz", "", "hello world " * 400]
        scores = await reranker.score("abc xyz", texts)
        assert len(scores) == len(texts)
        assert np.isfinite(scores).all()
        backwards = await reranker.score("abc xyz", texts[::-1])
        assert backwards[::-1] == pytest.approx(scores, abs=1e-4)

    async def test_a_batch_scores_as_its_texts_do_alone(self, reranker: Reranker) -> None:
        texts = [word * n for n, word in enumerate(string.ascii_lowercase, start=1)]
        alone = [(await reranker.score("query", [text]))[0] for text in texts]
        assert await reranker.score("query", texts) == pytest.approx(alone, abs=1e-4)

    async def test_nothing_to_score_is_no_scores(self, reranker: Reranker) -> None:
        assert await reranker.score("query", []) == []


class GeneratorContract:
    """Fixture `generator`."""

    async def test_text_streams_and_the_last_delta_counts_it(self, generator: Generator) -> None:
        deltas = await collect(generator, max_tokens=16)
        assert len([delta for delta in deltas if delta.text]) > 2
        usage, reasons = deltas[-1].usage, [delta.finish_reason for delta in deltas if delta.finish_reason]
        assert usage is not None
        assert usage.input_tokens > 0
        assert usage.output_tokens > 0
        assert len(reasons) == 1

    async def test_the_token_limit_holds_and_is_said(self, generator: Generator) -> None:
        deltas = await collect(generator, max_tokens=4)
        usage = deltas[-1].usage
        assert usage is not None
        assert usage.output_tokens <= 4
        assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["length"]

    async def test_counts_are_one_per_text_and_no_less_than_words(self, generator: Generator) -> None:
        texts = ["", "one", "three little words"]
        counts = await generator.count_tokens(texts)
        assert counts[0] == 0
        assert counts[1] >= 1
        assert counts[2] >= 3

    async def test_it_answers_again_after_a_stream_was_left(self, generator: Generator) -> None:
        async with aclosing(generator.stream(PROMPT, max_tokens=512)) as stream:
            async for delta in stream:
                if delta.text:
                    break
        async with asyncio.timeout(20):
            assert await collect(generator, max_tokens=4)

    async def test_it_names_its_model_and_its_window(self, generator: Generator) -> None:
        assert generator.model_id
        assert generator.context_tokens >= 512

    async def test_ping_passes(self, generator: Generator) -> None:
        await generator.ping()


class CacheContract:
    """Fixture `cache`."""

    async def test_a_value_is_kept_byte_for_byte(self, cache: Cache) -> None:
        key, value = uuid.uuid4().hex, bytes(range(256))
        assert await cache.get(key) is None
        await cache.set(key, value, ttl_s=60)
        assert await cache.get(key) == value

    async def test_a_value_expires(self, cache: Cache) -> None:
        key = uuid.uuid4().hex
        await cache.set(key, b"x", ttl_s=0.1)
        await asyncio.sleep(0.15)
        assert await cache.get(key) is None

    async def test_one_of_many_holds_the_lock_and_the_others_wait_for_it(self, cache: Cache) -> None:
        key, events = uuid.uuid4().hex, []

        async def enter() -> None:
            async with cache.lock(key, ttl_s=10) as first:
                if first:
                    events.append("work")
                    await asyncio.sleep(0.2)
                    await cache.set(key, b"done", ttl_s=10)
                else:
                    events.append(await cache.get(key))

        await asyncio.gather(*(enter() for _ in range(30)))
        assert events == ["work"] + [b"done"] * 29

    async def test_nobody_waits_longer_than_the_lock_lasts(self, cache: Cache) -> None:
        key = uuid.uuid4().hex
        async with cache.lock(key, ttl_s=0.2) as first, asyncio.timeout(1), cache.lock(key, ttl_s=0.2) as second:
            assert (first, second) == (True, False)

    async def test_who_comes_after_the_lock_expired_holds_it_to_the_end(self, cache: Cache) -> None:
        key = uuid.uuid4().hex
        late = cache.lock(key, ttl_s=0.05)
        assert await late.__aenter__()
        await asyncio.sleep(0.1)
        async with cache.lock(key, ttl_s=10) as second:
            assert second
            await late.__aexit__(None, None, None)  # must not release what is no longer its own
            async with cache.lock(key, ttl_s=0.2) as third:
                assert not third

    @pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
    async def test_a_holder_that_fails_lets_the_next_one_in(self, cache: Cache, error: type[BaseException]) -> None:
        key = uuid.uuid4().hex
        with pytest.raises(error):
            async with cache.lock(key, ttl_s=10):
                raise error
        async with cache.lock(key, ttl_s=10) as first:
            assert first

    async def test_ping_passes(self, cache: Cache) -> None:
        await cache.ping()


async def collect(generator: Generator, *, max_tokens: int) -> list[Delta]:
    async with aclosing(generator.stream(PROMPT, max_tokens=max_tokens)) as stream:
        return [delta async for delta in stream]
