"""The job that reads Qdrant and writes a bundle, as a process: opsctl never imports the service."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from os import defpath
from pathlib import Path
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        path = f"{Path(sys.executable).parent}:{defpath}"
        return {"PATH": path, "HOME": home, "LANG": "C.UTF-8", **told, **key}


def export_bundle(source: Source, out: Path, *, index: str, min_recall: float, home: str, talk: Console) -> Path:
    """Read every point, build the index, measure its recall, and write the bundle; where it is.

    Raises:
        CheckFailed: the job refused; its last line says why.
    """
    words = ["--out", str(out), "--index", index, "--min-recall", f"{min_recall:g}"]
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", "service.jobs.export_bundle", *words],
        env=source.environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        for line in job.stderr or ():
            last = line.strip() or last
            talk.print(last)
    if job.returncode:
        raise CheckFailed(last or f"the export ended with {job.returncode}", next_step="nothing was sent; correct it")
    return out / "current"
