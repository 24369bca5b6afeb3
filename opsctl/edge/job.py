"""The job that reads Qdrant and writes a bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsctl.jobs.here import CORRECT, machine, run_here

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Source:
    """Which Qdrant is read."""

    url: str
    collections: tuple[str, ...]
    api_key: str | None = field(default=None, repr=False)

    def environment(self, home: str) -> Mapping[str, str]:
        """What the job is told; the key is in no argument."""
        told = {"QDRANT_CLOUD_URL": self.url, "RAG_COLLECTIONS": ",".join(self.collections)}
        key = {"QDRANT_APIKEY": self.api_key} if self.api_key else {}
        return {**machine(home), **told, **key}


def export_bundle(source: Source, out: Path, *, index: str, min_recall: float, home: str, talk: Console) -> Path:
    """Read every point, build the index, measure its recall, and write the bundle; where it is.

    Raises:
        CheckFailed: the job refused; its last line says why.
    """
    words = ["--out", str(out), "--index", index, "--min-recall", f"{min_recall:g}"]
    run_here("export_bundle", words, source.environment(home), talk, if_refused=f"nothing was sent; {CORRECT}")
    return out / "current"
