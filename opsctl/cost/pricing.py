"""One stack to price, and what else it could be: every view asks here for reports of the stack with changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra import offline
from infra.errors import ConfigErrors
from infra.offline import Program
from opsctl.cost import catalog
from opsctl.cost.catalog import Catalog
from opsctl.cost.components import Situation
from opsctl.cost.report import Report, report
from opsctl.cost.stack_source import changed, stack_config
from opsctl.cost.usage import Usage
from opsctl.errors import NotUsable

DEFAULT_REGION = "us-east-1"  # of an edge that names none


@dataclass(frozen=True, slots=True)
class Pricing:
    """A stack file and a month's use.

    Attributes:
        tree: config by bare key.
        region: whose prices; the stack's own where None.
        preview: resources that stand for those of the unchanged stack.
        free_tier: whether the account's free allowances are taken off.
    """

    stack: str
    tree: Mapping[str, Any]
    usage: Usage
    today: dt.date
    region: str | None = None
    preview: Program | None = None
    free_tier: bool = False

    def situation(self, changes: Mapping[str, Any] | None = None) -> Situation:
        """The stack with changes of its config; runs the program.

        Raises:
            NotUsable: the config is wrong then.
        """
        wanted = changed(self.tree, changes or {})
        cfg = stack_config(wanted, stack=self.stack)
        if self.preview is not None and wanted == self.tree:
            return Situation(cfg, self.preview, self.usage)
        try:
            return Situation(cfg, offline.declare(cfg), self.usage)
        except ConfigErrors as exc:
            wrong = "; ".join(str(mistake) for mistake in exc.mistakes)
            raise NotUsable(f"stack {self.stack}: {wrong}", next_step="change these keys, or leave it out") from exc

    def on(self, topology: str) -> Situation:
        """The stack on a topology, the rest of its config as it is.

        Raises:
            NotUsable: as `situation`, and on which topology.
        """
        try:
            return self.situation({"topology": topology})
        except NotUsable as exc:
            raise NotUsable(f"on {topology}: {exc.problem}", next_step=exc.next_step) from exc

    def price(self, at: Situation, usage: Usage | None = None) -> Report:
        """The report of a situation, with another use where given."""
        at = at if usage is None else replace(at, usage=usage)
        return report(at, self.catalog(at), today=self.today, free_tier=self.free_tier)

    def report(self, changes: Mapping[str, Any] | None = None) -> Report:
        """The report of the stack with changes of its config.

        Raises:
            NotUsable: as `situation`.
        """
        return self.price(self.situation(changes))

    def catalog(self, at: Situation) -> Catalog:
        """The prices of the region.

        Raises:
            NotUsable: it has none.
        """
        return catalog.load(self.region or at.cfg.region or DEFAULT_REGION)
