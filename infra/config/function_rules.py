"""Rules about the function of topology lambda. Plain functions that yield mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from infra import sizing
from infra.config.stack import StackConfig
from infra.errors import Mistake, SizingError

Found = Iterator[Mistake]


def runs_no_sidecar(cfg: StackConfig) -> Found:
    """llama.cpp needs a container beside the service."""
    if cfg.topology == "lambda" and cfg.generation.provider == "llamacpp":
        yield Mistake(
            "generation.provider",
            "llamacpp",
            "topology lambda runs no second container; legal: sagemaker, openai, none",
            "`pulumi config set --path generation.provider sagemaker`",
        )


def timeouts_are_a_chain(cfg: StackConfig) -> Found:
    """Request deadline < function timeout < integration timeout."""
    if cfg.topology != "lambda":
        return
    try:
        sizing.lambda_timeouts(cfg.service.deadline_seconds, cfg.lambda_.timeout_seconds)
    except SizingError as exc:
        yield Mistake(
            "lambda.timeoutSeconds",
            str(cfg.lambda_.timeout_seconds),
            str(exc),
            "`pulumi config set --path lambda.timeoutSeconds 120`",
        )


def zip_has_no_reranker(cfg: StackConfig) -> Found:
    """250 MiB, unzipped, have no room for one beside the packages."""
    zipped = cfg.topology == "lambda" and cfg.lambda_.packaging == "zip"
    if zipped and cfg.retrieval.reranker != "none":
        yield Mistake(
            "retrieval.reranker",
            cfg.retrieval.reranker,
            "lambda.packaging zip has no room for a reranker; legal: none",
            "`pulumi config set --path retrieval.reranker none`, or lambda.packaging image",
        )


def has_no_distribution(cfg: StackConfig) -> Found:
    """A Regional API stays reachable beside a distribution, past its limit per caller."""
    if cfg.topology == "lambda" and cfg.cdn:
        yield Mistake(
            "cdn",
            "true",
            "topology lambda has none: its API could be reached past it",
            "`pulumi config set cdn false`",
        )
