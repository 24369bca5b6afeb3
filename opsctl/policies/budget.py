"""The engine's view of a stack priced and held against the budget; nothing here is of the engine's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from infra.config import StackConfig, parse
from infra.config.phases import with_second_phase
from infra.offline import Declared, Program
from opsctl.cost import catalog, usage
from opsctl.cost.components import Situation
from opsctl.cost.pricing import DEFAULT_REGION
from opsctl.cost.report import Report, report
from opsctl.errors import NotUsable
from opsctl.sheet import Usd

LARGEST = 3


def config_of(handed: Mapping[str, str], stack: str) -> StackConfig:
    """The config as the engine hands it to a policy: JSON texts, secrets opened and not told apart.

    Raises:
        ConfigErrors: it has mistakes; values are withheld, since any of them may be a secret.
    """
    whole = with_second_phase({key: _parsed(value) for key, value in handed.items()})
    return parse(whole, stack=stack, encrypted=frozenset(handed))


def declared(kind: str, name: str, urn: str, inputs: Mapping[str, Any]) -> Declared:
    """A resource of the engine's as the pricing reads it."""
    return Declared(
        type=kind,
        name=name,
        urn=urn,
        parent="",
        inputs=inputs,
        protect=False,
        retain=False,
        ignored=(),
        depends_on=(),
        delete_before_replace=False,
    )


def estimate(cfg: StackConfig, resources: Iterable[Declared], today: date) -> Report:
    """What these resources and what the config asks for outside them cost in a month of expected use."""
    program = Program(tuple(each for each in resources if not each.type.startswith("pulumi:pulumi:")), {})
    at = Situation(cfg, program, usage.load("expected"))
    return report(at, catalog.load(cfg.region or DEFAULT_REGION), today=today)


def verdict(cfg: StackConfig, resources: Iterable[Declared], today: date) -> str | None:
    """Why the stack can't be let through; None where it can. A budget that can't be held is no budget."""
    try:
        return problem(estimate(cfg, resources, today), cfg)
    except NotUsable as exc:
        return f"the estimate can't be made: {exc}"


def problem(found: Report, cfg: StackConfig) -> str | None:
    """Why the estimate is over the budget, with its largest lines; None where it is not."""
    if found.totals.monthly <= cfg.budget.monthly_usd:
        return None
    ranked = sorted(found.lines, key=lambda line: -(line.usd or 0))
    largest = "; ".join(f"{line.component.id} {Usd(line.usd)}" for line in ranked[:LARGEST])
    least = "at least " if found.incomplete else ""
    return (
        f"the stack would cost {least}{Usd(found.totals.monthly)} USD a month, over its budget of "
        f"{Usd(cfg.budget.monthly_usd)}: {largest}; raise budget.monthlyUsd or make it cheaper: "
        f"`opsctl cost-report --stack {cfg.stack} --optimise` shows how"
    )


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value
