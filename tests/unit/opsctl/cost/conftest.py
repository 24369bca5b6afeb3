from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
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


@cache
def declared(stack: str, changes: str) -> tuple[StackConfig, offline.Program]:
    """A stack file with changes (JSON), and its program: run once, since it takes a second."""
    more = json.loads(changes)
    cfg = cloud_cases.config(stack, more if stack == "local" else cloud_cases.second_phase(**more))
    return cfg, offline.declare(cfg)


def situation(stack: str, *changes: str, profile: str = "expected", **more: Any) -> Situation:
    return Situation(*declared(stack, json.dumps(more)), usage.load(profile, changes))


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
