"""The demo corpus of this machine as a bundle, built once by the service's own ingestion and kept between runs."""

from __future__ import annotations

import hashlib
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from processes import SCRATCH

from service.adapters.faiss_index import FaissStore
from service.jobs import ingest

if TYPE_CHECKING:
    from pathlib import Path

    from service.adapters.onnx_minilm import OnnxMiniLM


def demo_home() -> Path:
    """Bundle home; made again when the installed distributions, which are its documents, change."""
    installed = "\n".join(sorted(f"{found.name}=={found.version}" for found in distributions()))
    home = SCRATCH / f"demo-{hashlib.sha256(installed.encode()).hexdigest()[:12]}"
    if not home.is_dir():
        ingest.ingest(None, home, "sq8", min_recall=0.0, threads=1)
    return home


def open_demo(embedder: OnnxMiniLM) -> FaissStore:
    """Open that bundle in this process."""
    return FaissStore.open(demo_home(), embedder, embedder_sha256=embedder.sha256)


def questions() -> list[str]:
    """Sixty questions about the corpus, of ten shapes and lengths."""
    subjects = ("FastAPI", "supervisor", "faiss", "rich", "pydantic", "httpx")
    shapes = (
        "What is {}?",
        "Who wrote {}?",
        "How do I install {}?",
        "Which licence does {} have?",
        "What does {} depend on, and which versions of Python does it support?",
        "How do I set up {} on a UNIX-like system?",
        "Is {} faster than its alternatives?",
        "Show me the smallest program that uses {}.",
        "When would I use {} rather than something from the standard library, and when would I not?",
        "Where is the documentation of {}?",
    )
    return [shape.format(subject) for shape in shapes for subject in subjects]
