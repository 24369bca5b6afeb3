"""The Lambda function that asks the service from outside, by the clock: the smoke test's core, as two metrics.

A check that does not hold is a measurement and no failure of the function; what keeps it from measuring is one.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opsctl.errors import CheckFailed
from opsctl.functions import emf
from opsctl.functions.canary.settings import Settings, load
from opsctl.smoke.check import Asking
from opsctl.smoke.client import connect
from opsctl.smoke.core import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsctl.smoke.check import Check

LIMIT_S = 30.0  # per request; whoever waits longer has left


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run came to: the first check that does not hold, and how long all of them took."""

    failed: str | None
    latency_ms: float


def handler(event: dict[str, Any], context: Any) -> dict[str, object]:  # noqa: ARG001, ANN401 - Lambda's own
    """Ask once; gives what was seen."""
    settings = load()
    seen = asyncio.run(look(settings, _key(settings)))
    metrics = {"available": float(seen.failed is None), "canary_latency_ms": round(seen.latency_ms, 1)}
    sys.stdout.write(emf.line(settings.namespace, metrics, failed=seen.failed or "") + "\n")
    return {"available": seen.failed is None, "failed": seen.failed}


async def look(settings: Settings, api_key: str | None, checks: Iterable[Check] = CORE) -> Seen:
    """Run the checks until one does not hold."""
    began = perf_counter()
    failed: str | None = None
    async with connect(settings.url, api_key=api_key) as service:
        for check in checks:
            if check.name not in settings.checks:
                continue
            try:
                await check.run(Asking(service, (), min(LIMIT_S, check.limit_s)))
            except CheckFailed as exc:
                failed = f"{check.name}: {exc}"
                break
    return Seen(failed, (perf_counter() - began) * 1000)


def _key(settings: Settings) -> str | None:
    if not settings.key_secret:
        return None
    from opsctl.aws import secret_text  # noqa: PLC0415 - boto3 only where there is a key

    return secret_text(settings.region, settings.key_secret)
