"""Runs checks in order, times each, and keeps what each one saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from opsctl.errors import CheckFailed
from opsctl.output import working
from opsctl.smoke.check import Asking, NotApplicable
from opsctl.smoke.client import connect
from opsctl.smoke.contract import Ready, parse
from opsctl.smoke.core import CORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from opsctl.endpoint.trial import Trial
    from opsctl.smoke.check import Check
    from opsctl.smoke.client import ServiceClient
    from opsctl.smoke.golden import Golden


POLL_S = 2.0
POLL_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """The service that is tested, the stack that named it, and what has to answer.

    Attributes:
        release: the one that has to answer.
        collections: that a search must reach.
        slo_s: within which 95 of 100 answers must come.
        model: asks the model endpoint directly.
    """

    url: str
    stack: str | None = None
    release: str | None = None
    api_key: str | None = field(default=None, repr=False)
    collections: tuple[str, ...] = ()
    slo_s: float | None = None
    model: Callable[[], Trial] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check went."""

    name: str
    status: Literal["ok", "failed", "skipped", "n/a"]
    elapsed_ms: float
    summary: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """How all checks went."""

    target: Target
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that don't hold."""
        return tuple(outcome.name for outcome in self.outcomes if outcome.status in {"failed", "skipped"})


async def smoke(
    target: Target,
    golden: tuple[Golden, ...],
    *,
    limit_s: float,
    talk: Console,
    first_answer_s: float = 0.0,
    patience_s: float = 0.0,
    checks: Sequence[Check] = CORE,
) -> Report:
    """Run `checks` against `target`.

    Args:
        target: the service.
        golden: questions and their right documents; none: they are made from documents that the service holds.
        limit_s: seconds that one request may take.
        talk: hears which check goes on.
        first_answer_s: seconds to wait for a service that only comes up.
        patience_s: seconds for which a passing refusal is asked again, while a deployment settles.
        checks: in order.
    """
    outcomes: dict[str, Outcome] = {}
    async with connect(target.url, api_key=target.api_key, patience_s=patience_s) as service:
        if first_answer_s:
            with working(talk, f"waiting for {target.url} ..."):
                await _first_answer(
                    service.calling_as(target.api_key), target.release, min(limit_s, POLL_LIMIT_S), first_answer_s
                )
        for check in checks:
            if check.needs is not None and outcomes[check.needs].status in {"failed", "skipped"}:
                outcomes[check.name] = Outcome(check.name, "skipped", 0.0, f"needs {check.needs}")
                continue
            with working(talk, f"checking {check.name} ..."):
                outcomes[check.name] = await _timed(
                    check, _asking(target, service, golden, min(limit_s, check.limit_s))
                )
    return Report(target, tuple(outcomes.values()))


def _asking(target: Target, service: ServiceClient, golden: tuple[Golden, ...], limit_s: float) -> Asking:
    return Asking(
        service, golden, limit_s, target.release, collections=target.collections, slo_s=target.slo_s, model=target.model
    )


async def _first_answer(service: ServiceClient, release: str | None, limit_s: float, patience_s: float) -> None:
    """Wait until anything answers, and `release` where one is named, or until patience ends; the checks tell the rest.

    Tasks of the release before still answer for a while after a rollout.
    """

    async def answers() -> bool:
        if release is None:
            return bool(await service.get("/livez", limit_s=limit_s))
        return parse(Ready, await service.get("/readyz", limit_s=limit_s)).release == release

    polling = AsyncRetrying(
        stop=stop_after_delay(patience_s),
        wait=wait_fixed(POLL_S),
        retry=retry_if_exception_type(CheckFailed) | retry_if_result(lambda answered: not answered),
        retry_error_callback=lambda _: None,
    )
    await polling(answers)


async def _timed(check: Check, asking: Asking) -> Outcome:
    started = perf_counter()
    try:
        evidence = await check.run(asking)
    except NotApplicable as exc:
        return Outcome(check.name, "n/a", (perf_counter() - started) * 1000, str(exc))
    except CheckFailed as exc:
        return Outcome(check.name, "failed", (perf_counter() - started) * 1000, str(exc))
    return Outcome(check.name, "ok", (perf_counter() - started) * 1000, evidence.summary, evidence.facts)
