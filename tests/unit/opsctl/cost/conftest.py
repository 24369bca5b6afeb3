from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from infra import offline
from infra.config import StackConfig
from opsctl.cost import catalog, usage
from opsctl.cost.catalog import Catalog
from opsctl.cost.components import Situation
from opsctl.cost.report import Report, report
from tests.infra import cloud_cases

TODAY = dt.date(2026, 11, 26)
Priced = Callable[..., Report]


_program = offline.declare
_programs: dict[str, offline.Program] = {}


@pytest.fixture(autouse=True, scope="module")
def _each_program_runs_once() -> Iterator[None]:
    """A program takes a second on a busy machine and declares the same each time, which tests/infra holds it to."""

    def declare(cfg: StackConfig) -> offline.Program:
        key = repr(cfg)
        if key not in _programs:
            _programs[key] = _program(cfg)
        return _programs[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(offline, "declare", declare)
        yield


@cache
def declared(stack: str, changes: str) -> tuple[StackConfig, offline.Program]:
    """A stack file with changes (JSON), and its program: run once, since it takes a second."""
    more = json.loads(changes)
    cfg = cloud_cases.config(stack, more if stack == "local" else cloud_cases.second_phase(**more))
    return cfg, offline.declare(cfg)


@cache
def profile_of(name: str) -> usage.Usage:
    """Read once: the YAML of a profile takes longer than a report."""
    return usage.load(name)


def situation(stack: str, *changes: str, profile: str = "expected", **more: Any) -> Situation:
    return Situation(*declared(stack, json.dumps(more)), _with(profile_of(profile), changes))


def _with(shipped: usage.Usage, changes: tuple[str, ...]) -> usage.Usage:
    pairs = (change.split("=") for change in changes)
    return shipped.having(**{name: Decimal(value) for name, value in pairs})


def price(at: Situation, prices: Catalog | None = None, region: str = "us-east-1") -> Report:
    return report(at, prices or catalog.load(region), today=TODAY)


@pytest.fixture(scope="session")
def priced() -> Priced:
    """The report of a stack file with changes."""

    def run(
        stack: str = "prod", *changes: str, prices: Catalog | None = None, region: str = "us-east-1", **more: Any
    ) -> Report:
        return price(situation(stack, *changes, **more), prices, region)

    return run
