"""Where a stack's service writes its lines, and which of them somebody asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsctl.errors import NotDeployed, NotUsable
from opsctl.follow import Line

if TYPE_CHECKING:
    from pathlib import Path

    from opsctl.follow import Source
    from opsctl.project import Project
    from opsctl.stack import Delivery

LOCAL = "local"


@dataclass(frozen=True)
class LogFiles:
    """Source over the files of an edge on this machine; a line without a time has its file's."""

    root: Path
    selector: str

    def since(self, start_ms: int) -> list[Line]:
        """Lines since a time, oldest first."""
        found = [line for file in sorted(self.root.glob(self.selector)) for line in _lines(file)]
        return sorted((line for line in found if line.at_ms >= start_ms), key=lambda line: line.at_ms)


def _lines(file: Path) -> list[Line]:
    changed_ms = int(file.stat().st_mtime * 1000)
    texts = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [Line(f"{file.name}:{n}", _at_ms(text, changed_ms), file.stem, text) for n, text in enumerate(texts)]


def _at_ms(text: str, otherwise: int) -> int:
    said = parsed(text).get("time")
    try:
        return int(datetime.fromisoformat(str(said)).timestamp() * 1000) if said else otherwise
    except ValueError:
        return otherwise


def parsed(text: str) -> dict[str, Any]:
    """The line's document; empty for what is none, a model server's own lines for example."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def concerns(text: str, stage: str) -> bool:
    """Whether a line is about a stage of the pipeline: one that failed, or that an answer did without."""
    document = parsed(text)
    degraded = document.get("degraded")
    return document.get("stage") == stage or (isinstance(degraded, list) and stage in degraded)


def is_metric(text: str) -> bool:
    """Whether a line is for CloudWatch and not for a reader."""
    return "_aws" in parsed(text)


def source_of(project: Project, stack: str, delivery: Delivery) -> Source:
    """Where the lines are.

    Raises:
        NotDeployed: the stack says nothing of its lines.
        NotUsable: they are on a host that this command does not reach into.
        CloudRefused, TimedOut
    """
    logs = delivery.logs
    if logs is not None and logs.kind == "cloudwatch" and logs.group:
        from opsctl.aws.logs import LogGroup  # noqa: PLC0415 - boto3 is paid when it is needed

        return LogGroup(delivery.region, logs.group)
    if logs is not None and logs.kind == "files" and logs.selector:
        if delivery.hosts and LOCAL not in delivery.hosts:
            raise NotUsable(
                f"the lines of stack '{stack}' are on {', '.join(delivery.hosts)}",
                next_step="read them there: `journalctl -u 'rag-edge-*' -f`, or run/logs in the stack's folder",
            )
        return LogFiles(project.root, logs.selector)
    raise NotDeployed(f"stack '{stack}' doesn't say where its lines are", next_step=f"`opsctl deploy --stack {stack}`")
