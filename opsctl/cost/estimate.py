"""What a stack config would cost in a month of expected use, from what it would declare; nothing is asked for."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from infra import offline
from opsctl.cost import catalog, usage
from opsctl.cost.components import Situation
from opsctl.cost.pricing import DEFAULT_REGION
from opsctl.cost.report import Report, report

if TYPE_CHECKING:
    from infra.config import StackConfig
    from infra.offline import Program


def estimate(cfg: StackConfig, program: Program | None = None) -> Report:
    """The report of `opsctl cost-report` with its defaults; `program` where it was declared already.

    Raises:
        NotUsable: there is no catalog for the region.
    """
    at = Situation(cfg, program or offline.declare(cfg), usage.load("expected"))
    return report(at, catalog.load(cfg.region or DEFAULT_REGION), today=dt.datetime.now(tz=dt.UTC).date())
