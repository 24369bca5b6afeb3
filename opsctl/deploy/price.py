"""What a deployment changes in the month's bill: the config of the last release beside the one that is to come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config import PROJECT, parse
from infra.errors import ConfigErrors
from opsctl.cost.estimate import estimate
from opsctl.errors import OpsctlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from infra.config import StackConfig

SERVICE = f"{PROJECT}:service"


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
    return Price(Prices(stack, wanted).of(deployed) if deployed else None, after)


class Prices:
    """What releases of a stack cost a month; two that differ in their image alone are worked out once."""

    def __init__(self, stack: str, now: StackConfig) -> None:
        self._stack = stack
        given = now.secrets.model_dump(by_alias=True, exclude_none=True)
        self._secrets = {name: {"secure": "-"} for name in given}  # the history has no values: they cost what these do
        self._known: dict[str, Decimal | None] = {}

    def of(self, deployed: Mapping[str, str]) -> Decimal | None:
        """Of one release's config; None where it is of another version of this project."""
        key = json.dumps({**deployed, SERVICE: _without_image(deployed.get(SERVICE))}, sort_keys=True)
        if key not in self._known:
            self._known[key] = self._worked_out(deployed)
        return self._known[key]

    def _worked_out(self, deployed: Mapping[str, str]) -> Decimal | None:
        whole = {**deployed, **({f"{PROJECT}:secrets": self._secrets} if self._secrets else {})}
        try:
            return estimate(parse(whole, stack=self._stack)).totals.monthly
        except (ConfigErrors, OpsctlError):
            return None


def _without_image(service: str | None) -> object:
    """The section `service`; the first phase, which has no image, is no release that costs the same."""
    told = json.loads(service or "{}")
    return {**told, "image": bool(told.get("image"))} if isinstance(told, dict) else told
