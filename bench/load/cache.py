"""L5: what a cache saves where some questions are asked more than others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from figures import Figure

from load.stack import drive_all, plan, service
from opsctl.load.outcome import GOOD
from opsctl.load.schedule import Phase, Schedule

if TYPE_CHECKING:
    from pathlib import Path

    from load.stack import Model

ASKED = 1000
ALIKE = 100


def measure(bundle: Path, model: Model, held: float) -> list[Figure]:
    with service(bundle, model, RAG_CACHE="memory") as loaded:
        before = model.calls()
        zipf = Schedule(phases=(Phase(per_s=held / 2, seconds=2 * ASKED / held),), arrivals="even")
        record = drive_all(plan(loaded, zipf, zipf_exponent=1.0))[0]
        spent, before = model.calls() - before, model.calls()
        at_once = Schedule(phases=(Phase(name="spike", per_s=10 * ALIKE, seconds=0.1),), arrivals="even")
        alike = drive_all(plan(loaded, at_once, queries=("What do a hundred people ask at once?",)))[0]
        calls = model.calls() - before
    asked = record.total.count()
    return [
        Figure(f"L5 from the cache, {asked} questions by Zipf's law", record.cached / asked, "", at_least=0.5),
        Figure("L5 model calls saved", 1 - spent / asked, ""),
        Figure(f"L5 model calls for {ALIKE} identical questions at once", calls, "calls", at_most=1),
        Figure(f"L5 answers to those {ALIKE}", alike.total.count(GOOD), "answers", at_least=ALIKE),
    ]
