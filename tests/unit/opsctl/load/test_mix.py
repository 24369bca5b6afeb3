from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from opsctl.errors import NotUsable
from opsctl.load.mix import load_queries, zipf


def test_zipf_asks_the_first_query_twice_as_often_as_the_second_and_thrice_as_often_as_the_third() -> None:
    counts = Counter(islice(zipf(("a", "b", "c", "d"), 1.0, seed=1), 50_000))
    assert counts["a"] / counts["b"] == pytest.approx(2, rel=0.05)
    assert counts["a"] / counts["c"] == pytest.approx(3, rel=0.05)


def test_exponent_0_asks_all_alike() -> None:
    counts = Counter(islice(zipf(("a", "b", "c"), 0.0, seed=1), 30_000))
    assert all(count == pytest.approx(10_000, rel=0.05) for count in counts.values())


def test_a_seed_gives_the_same_queries_again() -> None:
    queries = tuple(f"q{n}" for n in range(50))
    assert list(islice(zipf(queries, 1.0, seed=3), 100)) == list(islice(zipf(queries, 1.0, seed=3), 100))
    assert list(islice(zipf(queries, 1.0, seed=3), 100)) != list(islice(zipf(queries, 1.0, seed=4), 100))


def test_queries_are_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_text("What is Faiss?\n\n  What is Rich?  \n")
    assert load_queries(file) == ("What is Faiss?", "What is Rich?")


@pytest.mark.parametrize("content", [b" \n\n", b"\xff\xfe"])
def test_a_file_without_queries_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "queries.txt"
    file.write_bytes(content)
    with pytest.raises(NotUsable, match=r"queries\.txt"):
        load_queries(file)
