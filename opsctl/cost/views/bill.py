"""What a stack costs, line by line, dearest first."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.sheet import Bars, Column, Quantity, Rate, Sheet, Usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.cost.report import Line, Report
    from opsctl.sheet import Cell

COLUMNS = (
    Column("what"),
    Column("quantity", figures=True),
    Column("unit USD", figures=True),
    Column("month USD", figures=True),
    Column("kind"),
    Column("id", detail=True),
    Column("source", detail=True),
    Column("as of", detail=True),
    Column("assumption", detail=True),
)


def sheet(report: Report) -> Sheet:
    """The report as it is shown."""
    lines = sorted(report.lines, key=lambda line: (-(line.usd or Decimal()), line.component.id))
    return Sheet(
        title=title(report),
        columns=COLUMNS,
        rows=tuple(_row(line, report) for line in lines),
        sums=_sums(report),
        notes=notes(report),
        document=document(report),
        incomplete=report.incomplete,
        charts=(Bars("USD a month by part", parts(report)),),
    )


def title(report: Report) -> str:
    """Stack, topology, region, and whether it is whole."""
    mark = ", incomplete" if report.incomplete else ""
    return f"stack {report.stack}: {report.topology} in {report.region}, USD a month of {report.hours:f} hours{mark}"


def notes(report: Report) -> tuple[str, ...]:
    """What is missing, doubtful or left out."""
    missing = [f"incomplete: {what}" for what in report.incomplete]
    return (
        *missing,
        *(f"warning: {what}" for what in report.warnings),
        f"not included: {'; '.join(report.not_included)}",
    )


def shared_notes(reports: Mapping[str, Report]) -> tuple[str, ...]:
    """Each note once, with the topologies that it holds for."""
    said: dict[str, list[str]] = {}
    for name, found in reports.items():
        for note in notes(found):
            said.setdefault(note, []).append(name)
    return tuple(note if len(names) == len(reports) else f"{', '.join(names)}: {note}" for note, names in said.items())


def parts(report: Report) -> dict[str, Decimal]:
    """USD a month by part of the bill, dearest first."""
    sums: dict[str, Decimal] = {}
    for line in report.lines:
        sums[line.component.part] = sums.get(line.component.part, Decimal()) + (line.usd or Decimal())
    return dict(sorted(sums.items(), key=lambda each: -each[1]))


def document(report: Report) -> dict[str, object]:
    """The report as JSON; money is a string of 6 decimals."""
    return {
        "version": 1,
        "stack": report.stack,
        "topology": report.topology,
        "region": report.region,
        "asOf": report.as_of.isoformat(),
        "currency": "USD",
        "hoursPerMonth": f"{report.hours:f}",
        "lines": [_line(line) for line in report.lines],
        "totals": totals(report),
        "incomplete": list(report.incomplete),
        "notIncluded": list(report.not_included),
        "warnings": list(report.warnings),
    }


def totals(report: Report) -> dict[str, str | None]:
    """The sums as JSON."""
    found = report.totals
    return {
        "fixed": exact(found.fixed),
        "usage": exact(found.usage),
        "monthlyUsd": exact(found.monthly),
        "perQueryUsd": exact(found.per_query),
        "withoutLlmUsd": exact(found.without_llm),
    }


def exact(usd: Decimal | None) -> str | None:
    """Money in JSON."""
    return None if usd is None else f"{usd:.6f}"


def explain(line: Line) -> list[tuple[str, str]]:
    """The arithmetic and the source of one line."""
    component, price = line.component, line.price
    found = [("line", component.id), ("what", component.name), ("quantity", f"{component.quantity:f} {component.unit}")]
    if component.quoted is not None:
        found.append(("price", f"{component.quoted:f} USD per {component.unit}, yours"))
    elif price is None:
        found.append(("price", f"unpriced: the catalog has no {component.price_key}"))
    else:
        begin = Decimal()
        for step in price.steps:
            to = "" if step.up_to is None else f" up to {step.up_to:f}"
            found.append(("price", f"{step.usd:f} USD per {price.unit} from {begin:f}{to}"))
            begin = step.up_to or begin
        found.append(("source", f"{price.source}, as of {price.as_of}, confidence {price.confidence}"))
    found.append(("month", f"{Usd(line.usd)} USD ({component.kind})"))
    return [*found, *([("assumed", component.assumption)] if component.assumption else [])]


def _sums(report: Report) -> tuple[tuple[Cell, ...], ...]:
    found = report.totals
    whole = "total of what is priced" if report.incomplete else "total"
    amounts: dict[str, Cell] = {
        "fixed": Usd(found.fixed),
        "usage": Usd(found.usage),
        whole: Usd(found.monthly),
        "without models": Usd(found.without_llm),
        "per query": "no query" if found.per_query is None else Usd(found.per_query, digits=6),
    }
    return tuple((name, "", "", amount, "", f"total/{name}", "", "", "") for name, amount in amounts.items())


def _row(line: Line, report: Report) -> tuple[Cell, ...]:
    component, known = line.component, _line(line)
    owner = component.resource.removeprefix(f"rag-platform-{report.stack}-")
    return (
        f"{owner}: {component.name}",
        Quantity(component.quantity, component.unit),
        Rate(line.unit_usd),
        Usd(line.usd),
        component.kind,
        component.id,
        known["source"] or "",
        known["asOf"] or "",
        component.assumption,
    )


def _line(line: Line) -> dict[str, str | None]:
    component, price = line.component, line.price
    listed = price is not None and component.quoted is None
    return {
        "id": component.id,
        "name": component.name,
        "resource": component.resource,
        "component": component.part,
        "kind": component.kind,
        "quantity": f"{component.quantity:f}",
        "unit": component.unit,
        "unitPrice": None if line.unit_usd is None else f"{line.unit_usd:f}",
        "monthlyUsd": exact(line.usd),
        "source": price.source if price and listed else "your quote" if component.quoted is not None else None,
        "asOf": price.as_of.isoformat() if price and listed else None,
        "assumption": component.assumption,
    }
