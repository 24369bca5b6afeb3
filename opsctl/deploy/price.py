"""What a deployment changes in the month's bill: the config of the last release beside the one that is to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config import parse
from infra.errors import ConfigErrors
from opsctl.cost.estimate import estimate
from opsctl.errors import OpsctlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from infra.config import StackConfig


@dataclass(frozen=True, slots=True)
class Price:
    """USD a month of expected use; None where it could not be told, and then why.

    Attributes:
        before: of the last release; None without one.
        after: of the config as it is now.
    """

    before: Decimal | None
    after: Decimal | None
    why: str | None = None

    def __str__(self) -> str:
        if self.after is None:
            return f"cost unknown: {self.why}"
        if self.before is None:
            return f"{self.after:.2f} USD a month"
        return f"{self.before:.2f} -> {self.after:.2f} USD a month ({self.after - self.before:+.2f})"


def price(stack: str, deployed: Mapping[str, str] | None, wanted: StackConfig) -> Price:
    """`deployed` is the config of the last release as the engine keeps it, secrets left out."""
    try:
        after = estimate(wanted).totals.monthly
    except OpsctlError as exc:
        return Price(None, None, exc.problem)
    try:
        before = estimate(parse(dict(deployed), stack=stack)).totals.monthly if deployed else None
    except (ConfigErrors, OpsctlError):  # of another version of this project, or with a secret that it can't do without
        before = None
    return Price(before, after)
