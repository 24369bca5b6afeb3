"""How a model endpoint is: what runs, what it costs, and what somebody should look at. Pure: facts in, warnings out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.endpoint.spec import Classic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.cost.catalog import Price
    from opsctl.endpoint.copies import Copies
    from opsctl.endpoint.journal import Journal
    from opsctl.endpoint.spec import EndpointSpec

IDLE_HOURS = 24
SERVING = frozenset({"InService", "Updating"})  # of a component: while its copies change it answers, or sleeps


@dataclass(frozen=True, slots=True)
class Observed:
    """The endpoint as AWS describes it.

    Attributes:
        status: of the endpoint; None where there is none.
        config: the endpoint config that it runs.
        alarms: state by name.
        requests: in the last `IDLE_HOURS`; None where CloudWatch has no such metric yet.
        instance_hours: of this month, by the samples that instances send each minute; None where there are none.
    """

    status: str | None
    reason: str | None = None
    config: str | None = None
    instances: int = 0
    wanted_instances: int = 0
    copies: Copies | None = None
    alarms: Mapping[str, str] | None = None
    requests: int | None = None
    instance_hours: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that is shown of an endpoint.

    Attributes:
        expected_config: the config of the last release that proved to run.
        month_usd: what its instances cost so far this month, by list price; None where hours or price aren't known.
    """

    spec: EndpointSpec
    observed: Observed
    journal: Journal
    expected_config: str
    price: Price | None

    @property
    def month_usd(self) -> Decimal | None:
        """Instance-hours of this month at list price."""
        if self.price is None or self.observed.instance_hours is None:
            return None
        return self.price.of(self.observed.instance_hours)

    @property
    def healthy(self) -> bool:
        """Whether it serves what was released, and no alarm rings; asleep is healthy."""
        in_service = self.observed.status == "InService" and self._failed_component is None
        return in_service and not self.ringing and self.observed.config == self.expected_config

    @property
    def ringing(self) -> tuple[str, ...]:
        """Alarms that ring; the one that wakes is meant to."""
        alarms = self.observed.alarms or {}
        return tuple(name for name, state in alarms.items() if state == "ALARM" and not name.endswith("no-capacity"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at, each with what to do."""
        found = self.observed
        checks = (
            (
                found.status not in {None, "InService"},
                f"the endpoint is {found.status}{f': {found.reason}' if found.reason else ''}; `opsctl endpoint logs`",
            ),
            (self._failed_component is not None, self._failed_component or ""),
            (found.status is None, "there is no endpoint, though one was released; `opsctl deploy-endpoint`"),
            (
                found.status == "InService" and found.config != self.expected_config,
                f"it runs {found.config}, {self.expected_config} was released; `opsctl deploy-endpoint` puts it right",
            ),
            (
                self.journal.attempt is not None,
                "a change was left unfinished; `opsctl deploy-endpoint` goes on, `opsctl endpoint rollback` goes back",
            ),
            (self.journal.failure is not None, f"the last change was taken back: {self.journal.failure}"),
            *((True, f"alarm {name} rings; `opsctl endpoint logs`") for name in self.ringing),
            (self._idle, self._idle_warning()),
        )
        return tuple(text for holds, text in checks if holds)

    @property
    def _failed_component(self) -> str | None:
        """What is wrong with the component: its endpoint stays InService when it has failed."""
        copies = self.observed.copies
        if copies is None or copies.status in SERVING:
            return None
        why = f"{copies.status}{f': {copies.reason}' if copies.reason else ''}"
        return f"the model's component is {why}; `opsctl endpoint logs`, then `opsctl deploy-endpoint`"

    @property
    def _idle(self) -> bool:
        return self.observed.instances > 0 and self.observed.requests == 0

    def _idle_warning(self) -> str:
        rate = "" if self.price is None else f" at {self.price.of(Decimal(self.observed.instances)):.2f} USD an hour"
        way = (
            "`pulumi config set --path generation.scaling.min 0` lets it sleep, `opsctl endpoint delete` removes it"
            if isinstance(self.spec.shape, Classic)
            else "it should have gone to sleep: see its scaling policy"
        )
        return f"idle: nobody asked for {IDLE_HOURS} h, {self.observed.instances} instances run{rate}; {way}"
