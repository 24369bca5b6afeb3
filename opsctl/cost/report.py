"""The report: every component times its price, the sums, and what is not known, not included or out of date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.cost import allowances, outside
from opsctl.cost.resources import FREE, PRICED, UNSUPPORTED, kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opsctl.cost.catalog import Catalog, Price
    from opsctl.cost.components import Component, Situation

NOT_INCLUDED = (
    "tax, support plans, discounts and commitments",
    "metrics of Container Insights and the service's own",
    "API calls of Secrets Manager, KMS and S3",
    "access logs in S3",
    "data through interface endpoints and the balancer of a self-hosted store; its traffic between zones",
    "PagerDuty, Slack, Opik, CI",
)
EDGE_ONLY = (
    "the edge host itself: hardware, power, network",
    "what edges download and send: bundles, questions to the fallback",
)
LLM = ("model", "query model")
# A preview or a state may say anything of a resource: unknown before it is applied, of another version, edited by hand.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Line:
    """One component and its price; `usd` is None where there is none."""

    component: Component
    price: Price | None

    @property
    def unit_usd(self) -> Decimal | None:
        """USD per unit; the mean where the price has tiers."""
        if self.component.quoted is not None:
            return self.component.quoted
        if self.price is None:
            return None
        if self.price.usd is not None:
            return self.price.usd
        quantity = self.component.quantity
        return self.price.of(quantity) / quantity if quantity else self.price.steps[0].usd

    @property
    def usd(self) -> Decimal | None:
        """USD a month, unrounded."""
        if self.component.quoted is not None:
            return self.component.quoted * self.component.quantity
        return None if self.price is None else self.price.of(self.component.quantity)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of unrounded lines; of the priced ones alone where the report is incomplete."""

    fixed: Decimal
    usage: Decimal
    llm: Decimal
    per_query: Decimal | None

    @property
    def monthly(self) -> Decimal:
        """All lines."""
        return self.fixed + self.usage

    @property
    def without_llm(self) -> Decimal:
        """All lines but those of models, which else hide every difference between topologies."""
        return self.monthly - self.llm


@dataclass(frozen=True, slots=True)
class Report:
    """What a stack costs in a month."""

    stack: str
    topology: str
    region: str
    as_of: dt.date
    hours: Decimal
    lines: tuple[Line, ...]
    totals: Totals
    incomplete: tuple[str, ...]
    not_included: tuple[str, ...]
    warnings: tuple[str, ...]


def report(at: Situation, catalog: Catalog, *, today: dt.date, free_tier: bool = False) -> Report:
    """Price the program and what stands around it; a usage line of nothing is left out.

    Args:
        at: what is priced.
        catalog: by what.
        today: which prices are stale.
        free_tier: whether the account's free allowances are taken off.
    """
    components, unknown = _components(at)
    if free_tier:
        components = list(allowances.without(components))
    lines = tuple(
        Line(each, catalog.find(each.price_key)) for each in components if each.kind == "fixed" or each.quantity
    )
    unpriced = sorted({each.component.price_key for each in lines if each.usd is None})
    return Report(
        stack=at.cfg.stack,
        topology=at.cfg.topology,
        region=catalog.region,
        as_of=min((each.price.as_of for each in lines if each.price), default=today),
        hours=at.hours,
        lines=lines,
        totals=_totals(lines, at.queries),
        incomplete=(*unknown, *(f"no price of {key} in {catalog.region}" for key in unpriced)),
        not_included=(*NOT_INCLUDED, *(EDGE_ONLY if at.cfg.topology == "hybrid" else ())),
        warnings=(*warnings(_used(lines), today), *kubernetes.warnings(at, today)),
    )


def _components(at: Situation) -> tuple[list[Component], list[str]]:
    found: list[Component] = []
    unknown: list[str] = []
    for resource in at.program.resources:
        if not resource.custom or resource.type in FREE:
            continue
        if resource.type in PRICED:
            try:
                found += list(PRICED[resource.type](resource, at))
            except UNREADABLE as exc:
                unknown.append(f"{resource.name}: can't be priced: {exc} ({resource.type})")
        else:
            reason = UNSUPPORTED.get(resource.type, "a resource type never seen")
            unknown.append(f"{resource.name}: {reason} ({resource.type})")
    return [*found, *outside.components(at)], unknown


def _totals(lines: Iterable[Line], queries: Decimal) -> Totals:
    sums = {"fixed": Decimal(), "usage": Decimal()}
    llm = Decimal()
    for line in lines:
        usd = line.usd or Decimal()
        sums[line.component.kind] += usd
        llm += usd if line.component.part in LLM else Decimal()
    whole = sums["fixed"] + sums["usage"]
    return Totals(sums["fixed"], sums["usage"], llm, whole / queries if queries else None)


def _used(lines: Iterable[Line]) -> dict[str, Price]:
    return {line.component.price_key: line.price for line in lines if line.price and line.component.quoted is None}


def warnings(used: Mapping[str, Price], today: dt.date) -> Iterator[str]:
    """What is doubtful about the prices that were used."""
    if stale := sorted(key for key, price in used.items() if price.stale(today)):
        yield f"{len(stale)} prices are older than 100 days: {', '.join(stale)}; re-read them before you rely on them"
    if weak := sorted(key for key, price in used.items() if price.confidence == "C"):
        yield f"{len(weak)} prices are approximate or assumed: {', '.join(weak)}"
