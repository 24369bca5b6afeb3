"""Which query comes next: few are asked often and many seldom, as Zipf's law has it."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def zipf(queries: Sequence[str], exponent: float, seed: int) -> Iterator[str]:
    """Queries without end; the one of rank k comes with weight k ** -exponent, so 0 means all alike."""
    weights = [*accumulate(rank**-exponent for rank in range(1, len(queries) + 1))]
    random = Random(seed)  # noqa: S311 - reproducible on purpose
    while True:
        yield random.choices(queries, cum_weights=weights)[0]


def load_queries(path: Path) -> tuple[str, ...]:
    """One query per line, the most asked first.

    Raises:
        NotUsable: the file can't be read or holds no query.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise NotUsable(f"--queries {path}: {exc}", next_step="give a readable text file") from exc
    queries = tuple(line.strip() for line in lines if line.strip())
    if not queries:
        raise NotUsable(f"--queries {path}: no query in it", next_step="write one per line, the most asked first")
    return queries
