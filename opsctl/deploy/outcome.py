"""How far a deployment came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsctl.deploy.engine import Changes
    from opsctl.deploy.price import Price
    from opsctl.deploy.verdict import Running, Verdict
    from opsctl.errors import OpsctlError
    from opsctl.preflight.check import Check
    from opsctl.smoke.run import Report as SmokeReport
    from opsctl.stack import Release


@dataclass(slots=True)
class Report:
    """How far a deployment came; filled step by step, so that a failure still shows what was done."""

    stack: str
    topology: str | None = None
    changes: Changes = field(default_factory=dict)
    wanted: Release | None = None
    running: Running | None = None
    verdict: Verdict | None = None
    smoke: SmokeReport | None = None
    checks: Sequence[Check] = ()
    price: Price | None = None
    way_back: Report | None = None
    error: OpsctlError | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything to tell beside the error."""
        return bool(self.changes or self.verdict or self.smoke or self.way_back)
