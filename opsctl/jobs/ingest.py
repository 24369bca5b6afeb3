"""One ingestion of a stack: where it runs, and what it is told where that is here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.errors import NotUsable
from opsctl.jobs.here import machine, run_here
from opsctl.jobs.start import start
from opsctl.jobs.watch import watch
from opsctl.stack import read_delivery
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from infra.config import StackConfig
    from opsctl.project import Project
    from opsctl.stack import Delivery

KEPT = {"DATABASE_HOST": "mongoUrl", "QDRANT_APIKEY": "qdrantApiKey"}
"""What the job calls a credential -> what the stack keeps it as."""
PASSED_ON = ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What was started, and whether it was seen to end well; `again` is how to look at it later."""

    job: str
    where: str
    ended: bool
    again: str = ""


def ingest(
    project: Project,
    stack: str,
    words: Sequence[str],
    environ: Mapping[str, str],
    talk: Console,
    *,
    limit_s: float | None,
) -> Ingestion:
    """Run `service.jobs.ingest WORDS` for a stack; `limit_s` None does not wait where it runs elsewhere.

    Raises:
        NotUsable: an edge that answers from a folder has no such index.
        CheckFailed, CloudRefused, TimedOut, StackNotFound, NotDeployed
    """
    delivery = read_delivery(project, stack, environ)
    job = start(stack, delivery, "ingest", words)
    if job is None:
        told = told_here(read_stack_config(project, stack), delivery, environ)
        talk.print(f"stack '{stack}' has no machine for jobs: the ingestion runs on this one")
        run_here("ingest", words, told, talk)
        return Ingestion("service.jobs.ingest", "this machine", ended=True)
    where = delivery.topology
    talk.print(f"{job.name} runs on {where}; {job.again}")
    if limit_s is not None:
        watch(job, talk, limit_s=limit_s)
    return Ingestion(job.name, where, ended=limit_s is not None, again=job.again)


def told_here(cfg: StackConfig, delivery: Delivery, environ: Mapping[str, str]) -> dict[str, str]:
    """The job's environment on this machine; it reads the stack's secrets itself, as whoever runs it.

    Raises:
        NotUsable: the stack has no Qdrant that could be written from here.
    """
    if cfg.retrieval.url is None:
        way = (
            f"it answers from hybrid.edge.source: `opsctl deploy --stack {cfg.stack}` reads that again"
            if cfg.topology == "hybrid"
            else "set retrieval.url, or run the job in the stack's network (docs/data.md)"
        )
        raise NotUsable(f"the file of stack '{cfg.stack}' says no retrieval.url", next_step=way)
    own = {name: environ[name] for name in KEPT if environ.get(name)}
    kept = delivery.secrets or {}
    by_reference = {name: kept[key] for name, key in KEPT.items() if name not in own and key in kept}
    told = {
        **machine(environ.get("HOME", "/")),
        **{name: value for name, value in environ.items() if name.startswith("AWS_") or name in PASSED_ON},
        "QDRANT_CLOUD_URL": environ.get("QDRANT_CLOUD_URL") or cfg.retrieval.url,
        "DATABASE_NAME": environ.get("DATABASE_NAME") or cfg.documents.database,
        "RAG_COLLECTIONS": ",".join(cfg.retrieval.collections),
        **own,
    }
    told |= {"AWS_REGION": delivery.region} if delivery.region else {}
    return told | ({"RAG_SECRETS_FROM": json.dumps(by_reference)} if by_reference else {})
