"""Measure retrieval on golden questions: recall@k, MRR and time per stage, before and after reranking.

    python -m service.jobs.evaluate golden.yaml --propose 50 --answers DIR
    python -m service.jobs.evaluate golden.yaml [--k 10] [--min-recall 0.9] [--min-mrr 0.7] [--max-p95-ms 500]

The first lets a model write questions from passages of the index, for a person to correct. The second measures: the
service's own pipeline is asked in this process, with the service's own environment; no generator, no cache. The
table goes to stdout (`--output json` for machines); exit code 1 where a threshold is missed, and one line says which.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from service import settings
from service.errors import RagError, StartupError
from service.jobs import desk, golden, progress, propose
from service.parts import open_parts
from service.rag import rerank
from service.rag.events import Question
from service.rag.pipeline import Pipeline
from service.rag.trace import Trace
from service.resilience import Deadline
from service.vault import fetch

if TYPE_CHECKING:
    from service.jobs.golden import Golden
    from service.ports import Hit
    from service.settings import Settings

K = 10
STAGES = ("self_query", "query_expansion", "retrieval", "reranking")
# Retrieval with all that belongs to it, and nothing that answers or remembers.
MEASURED: dict[str, object] = {
    "host": "127.0.0.1", "auth": "none", "generator": "none", "fallback": "none", "cache": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ranked:
    """How one question fared in one ranking of documents."""

    recall: float
    reciprocal_rank: float

    @classmethod
    def of(cls, question: Golden, hits: Sequence[Hit], k: int) -> Ranked:
        """Chunks of one document count once, at the rank of the first."""
        places = {_document(hit): place for place, hit in enumerate(_distinct(hits), 1)}
        ranks = [
            min((places[_document(hit)] for hit in hits if source.fits(hit)), default=None)
            for source in question.sources
        ]
        found = [rank for rank in ranks if rank is not None and rank <= k]
        return cls(len(found) / len(ranks), 1 / min(found) if found else 0.0)


@dataclass
class Measured:
    """All questions; `after` stays empty where no reranker is configured."""

    before: list[Ranked] = field(default_factory=list)
    after: list[Ranked] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)
    degraded: Counter[str] = field(default_factory=Counter)
    missed: list[dict[str, object]] = field(default_factory=list)

    def report(self, k: int) -> dict[str, object]:
        """In words that are a public contract."""
        return {
            "questions": len(self.before),
            "k": k,
            "before": _quality(self.before),
            "after": _quality(self.after) if self.after else None,
            "latencyMs": {
                stage: {"p50": round(float(np.percentile(ms, 50)), 2), "p95": round(float(np.percentile(ms, 95)), 2)}
                for stage, ms in self.stage_ms.items()
            },
            "degraded": dict(self.degraded),
            "missed": self.missed,
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate once; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.propose and options.desk is None:
        parser.error("--propose needs --answers DIR")
    try:
        if options.propose:
            return _propose(options)
        questions = golden.load(options.golden)
        told = settings.load(fetch, **MEASURED)
        measured = asyncio.run(evaluate(questions, told, k=options.k))
    except RagError as exc:
        sys.stderr.write(f"evaluate: {exc.detail}\n")
        return 1
    report = measured.report(options.k)
    if options.output == "json":
        sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    else:
        _print(report)
    failed = below(report, options.min_recall, options.min_mrr, options.max_p95_ms)
    sys.stderr.writelines(f"evaluate: {line}\n" for line in failed)
    return int(bool(failed))


def _propose(options: argparse.Namespace) -> int:
    if options.golden.exists():
        raise StartupError(f"{options.golden} is there already; give another name")
    told = settings.load(fetch, **MEASURED | {"query_model": "openai"})
    written = propose.questions(told, desk.Desk.of(options, told), options.propose)
    options.golden.write_text(golden.dump(written), encoding="utf-8")
    sys.stderr.write(f"{len(written)} questions in {options.golden}; correct them before you trust them\n")
    return 0


async def evaluate(questions: Sequence[Golden], told: Settings, *, k: int) -> Measured:
    """Ask every question once, one after the other; the first is asked twice, for what only a cold start costs.

    Raises:
        RagError: a part can't be opened, or retrieval failed.
    """
    measured = Measured()
    async with open_parts(told) as parts:
        pipeline = Pipeline(replace(parts, reranker=None), told)
        wanted = max(k, told.candidates)

        async def found(question: Golden, trace: Trace) -> tuple[list[Hit], list[Hit] | None]:
            deadline = Deadline(told.deadline_s)
            hits = await pipeline.retrieve(Question(question.question, wanted, question.author), trace, deadline)
            if parts.reranker is None:
                return hits, None
            again = await rerank.best(
                question.question,
                hits,
                wanted,
                reranker=parts.reranker,
                trace=trace,
                deadline=deadline,
                limit_s=told.rerank_timeout_s,
            )
            return hits, again

        await found(questions[0], Trace())
        with progress.stage("questions", len(questions)) as advance:
            for question in questions:
                trace = Trace()
                _note(measured, question, trace, *await found(question, trace), k=k)
                advance(1)
    return measured


def below(
    report: dict[str, object], min_recall: float | None, min_mrr: float | None, max_p95_ms: float | None
) -> list[str]:
    """A sentence for each threshold that is missed; quality is judged on what a caller gets: the last ranking."""
    quality: dict[str, float] = report["after"] or report["before"]  # type: ignore[assignment]
    total: float = report["latencyMs"]["total"]["p95"]  # type: ignore[index]
    said = []
    if min_recall is not None and not quality["recallAtK"] >= min_recall:
        said.append(f"recall@{report['k']} is {quality['recallAtK']:g}, below {min_recall:g}")
    if min_mrr is not None and not quality["mrr"] >= min_mrr:
        said.append(f"MRR is {quality['mrr']:g}, below {min_mrr:g}")
    if max_p95_ms is not None and not total <= max_p95_ms:
        said.append(f"p95 of retrieval as a whole is {total:g} ms, above {max_p95_ms:g}")
    return said


def _note(
    measured: Measured, question: Golden, trace: Trace, before: list[Hit], after: list[Hit] | None, *, k: int
) -> None:
    measured.before.append(Ranked.of(question, before, k))
    if after is not None:
        measured.after.append(Ranked.of(question, after, k))
    ran = {stage: trace.stage_ms[stage] for stage in STAGES if stage in trace.stage_ms}
    for stage, ms in (ran | {"total": sum(ran.values())}).items():
        measured.stage_ms.setdefault(stage, []).append(ms)
    measured.degraded.update(trace.degraded)
    last = (measured.after or measured.before)[-1]
    if last.recall < 1:
        titles = [f"{hit.collection}: {hit.title}" for hit in _distinct(before if after is None else after)[:3]]
        measured.missed.append(
            {
                "question": question.question,
                "expected": [source.model_dump(exclude_none=True) for source in question.sources],
                "found": titles,
            }
        )


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    """The best chunk of each document, in the order of the hits."""
    documents: dict[tuple[str, str, str], Hit] = {}
    for hit in hits:
        documents.setdefault(_document(hit), hit)
    return list(documents.values())


def _document(hit: Hit) -> tuple[str, str, str]:
    return hit.collection, hit.url, hit.title


def _quality(ranked: Sequence[Ranked]) -> dict[str, float]:
    return {
        "recallAtK": round(float(np.mean([one.recall for one in ranked])), 4),
        "mrr": round(float(np.mean([one.reciprocal_rank for one in ranked])), 4),
    }


def _print(report: dict[str, object]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    quality = Table("ranking", f"recall@{report['k']}", "MRR", title=f"{report['questions']} questions")
    for name in ("before", "after"):
        if figures := report[name]:
            quality.add_row(f"{name} reranking", *(f"{value:.3f}" for value in figures.values()))  # type: ignore[attr-defined]
    times = Table("stage", "p50 ms", "p95 ms")
    for stage, ms in report["latencyMs"].items():  # type: ignore[attr-defined]
        times.add_row(stage, f"{ms['p50']:.1f}", f"{ms['p95']:.1f}")
    console.print(quality, times)
    for missed in report["missed"]:  # type: ignore[attr-defined]
        console.print(f"missed: {missed['question']} found {'; '.join(missed['found']) or 'nothing'}", markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.jobs.evaluate", description="Measure retrieval")
    parser.add_argument("golden", type=Path, help="YAML of questions and the sources that answer them")
    parser.add_argument("--k", type=int, default=K, help="documents that count as found; default: %(default)s")
    parser.add_argument("--min-recall", type=float, default=None, help="exit 1 where recall@k is below")
    parser.add_argument("--min-mrr", type=float, default=None, help="exit 1 where MRR is below")
    parser.add_argument("--max-p95-ms", type=float, default=None, help="exit 1 where all stages together take longer")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--propose", type=int, default=None, metavar="N", help="write N questions into the file")
    desk.arguments(parser, name="--answers", does="of --propose: where what the model wrote is kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
