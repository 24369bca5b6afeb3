"""The canary: asks the service from outside by the clock, as the smoke test does, and counts what it sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.own_functions.function import OwnFunction, OwnFunctionArgs
from infra.components.permissions import allow

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.components.observability.watched import Watched

TIMEOUT_S = 120
# AWS's own layer, whose pydantic is compiled for Lambda (docs.aws.amazon.com/powertools/python, read 2026-11-26)
PYDANTIC = "arn:aws:lambda:{region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python312-arm64:18"
UNASKED = ("livez", "readyz")  # need no key
ASKED = ("livez", "readyz", "search", "rag", "bad request")


def checks(watched: Watched) -> tuple[str, ...]:
    """What it can ask: without a key what needs none; no answer of a model that a question would wake or that isn't."""
    if watched.key_secret is None and not watched.open_to_all:
        return UNASKED
    if watched.component is not None or watched.generator == "none":
        return tuple(each for each in ASKED if each != "rag")
    return ASKED


@dataclass(frozen=True, kw_only=True)
class CanaryArgs:
    """Whom it asks and how often."""

    url: pulumi.Input[str]
    watched: Watched
    minutes: int
    key_arn: pulumi.Input[str]
    log_days: int


class Canary(pulumi.ComponentResource):
    """Its metrics are `available` and `canary_latency_ms`."""

    def __init__(self, name: str, site: Site, args: CanaryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Canary", name, None, opts)
        watched = args.watched
        settings: dict[str, pulumi.Input[str]] = {
            "RAG_URL": args.url,
            "RAG_NAMESPACE": watched.namespace,
            "RAG_CHECKS": ",".join(checks(watched)),
        }
        may = []
        if watched.key_secret is not None:
            settings["RAG_KEY_FROM"] = watched.key_secret
            may.append(allow(["secretsmanager:GetSecretValue"], [watched.key_secret]))
        function = OwnFunction(
            f"{name}-canary",
            site,
            OwnFunctionArgs(
                source="canary",
                says="Asks the service from outside, as the smoke test does, and counts what it sees",
                environment=settings,
                may=may,
                key_arn=args.key_arn,
                log_days=args.log_days,
                timeout_s=TIMEOUT_S,
                layers=(PYDANTIC.format(region=site.region),),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        function.every(args.minutes)
        self.register_outputs({})
