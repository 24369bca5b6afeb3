"""Embedding: the adapter against a plain ONNX Runtime loop that does the same work, and what micro-batching gains.

CPU time throughout: the session has one thread, and a neighbour's load must not count as ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import uvloop
from figures import Figure, Report, main, report
from paired import cpu_here_s, paired

from service.adapters.onnx_minilm import OnnxMiniLM

if TYPE_CHECKING:
    from service.ports import Vectors

ROUNDS = 30
CONCURRENT = 32
TIMES_RAW, BATCHING = 1.05, 1.5
TEXTS = [
    f"Which {thing} {does} on UNIX-like systems, and how is it set up?"
    for thing in ("library", "server", "tool", "package", "framework", "program", "service", "module")
    for does in ("controls processes", "searches dense vectors", "prints rich text", "validates data")
]


def run() -> Report:
    embedder = OnnxMiniLM.open(threads=1)
    raw = _raw_loop(embedder)
    drift = max(float(np.abs(embedder.embed_now([text]) - raw(text)).max()) for text in TEXTS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the service's loop
        one_by_one = cpu_here_s(lambda: runner.run(_one_by_one(embedder)))
        by_raw = paired(one_by_one, cpu_here_s(lambda: [raw(text) for text in TEXTS]), rounds=ROUNDS, unit="CPU s")
        together = cpu_here_s(lambda: runner.run(_together(embedder)))
        by_batch = paired(one_by_one, together, rounds=ROUNDS, unit="CPU s")
    embedder.close()
    figures = [
        Figure("embed / raw ONNX Runtime loop", by_raw.ratio, "x CPU", at_most=TIMES_RAW),
        Figure("32 concurrent calls / one by one", by_batch.ratio, "x throughput", at_least=BATCHING),
        Figure("one text", median(by_raw.a) * 1000 / len(TEXTS), "CPU ms"),
        Figure("one text of 32 concurrent", median(by_batch.b) * 1000 / len(TEXTS), "CPU ms"),
    ]
    details = {"byRaw": by_raw.document(), "byBatch": by_batch.document(), "largestDifference": drift}
    return report(
        "What does the embedder add to ONNX Runtime, and what does it save under load?",
        figures,
        details=details,
        versions=("onnxruntime", "tokenizers", "numpy"),
    )


async def _one_by_one(embedder: OnnxMiniLM) -> None:
    for text in TEXTS:
        await embedder.embed([text])


async def _together(embedder: OnnxMiniLM) -> None:
    await asyncio.gather(*(embedder.embed([text]) for text in TEXTS[:CONCURRENT]))


def _raw_loop(embedder: OnnxMiniLM) -> Callable[[str], Vectors]:
    """Tokenise, run, pool, normalise with nothing around it, on the adapter's own session."""
    session, tokenizer = embedder._session, embedder.tokenizer  # noqa: SLF001 - a second session would not be paired

    def embed(text: str) -> Vectors:
        encoding = tokenizer.encode_batch_fast([text])[0]
        ids = np.array([encoding.ids], np.int64)
        mask = np.array([encoding.attention_mask], np.int64)
        hidden = session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        unit: Vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit

    return embed


if __name__ == "__main__":
    main(run)
