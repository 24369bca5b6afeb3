"""The report as JSON (version 1, a public contract), as a table of 80 columns, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from opsctl.output import write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from opsctl.cost.report import Line, Report

CENT = Decimal("0.01")
UNPRICED = "unpriced"
COLUMNS = ("what", "quantity", "unit USD", "month USD", "kind")
FIELDS = (
    "id", "name", "resource", "component", "kind", "quantity", "unit", "unitPrice", "monthlyUsd", "source", "asOf",
    "assumption",
)  # fmt: skip


def shown(usd: Decimal | None) -> str:
    """Two decimals, rounded half up."""
    return UNPRICED if usd is None else f"{usd.quantize(CENT, ROUND_HALF_UP):,}"


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
        "totals": _totals(report),
        "incomplete": list(report.incomplete),
        "notIncluded": list(report.not_included),
        "warnings": list(report.warnings),
    }


def as_csv(report: Report) -> str:
    """One row per line and one per total."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(_line(line) for line in report.lines)
    for name, usd in _totals(report).items():
        writer.writerow({"id": f"total/{name}", "name": name, "monthlyUsd": usd})
    return text.getvalue()


def as_markdown(report: Report) -> str:
    """A table for a pull request, and below it what a reader must know."""
    rows = [_cells(line, report) for line in _by_cost(report)]
    rows += [(f"**{name}**", "", "", f"**{text}**", "") for name, text in _sums(report)]
    head = (f"| {' | '.join(COLUMNS)} |", "|---|--:|--:|--:|---|")
    body = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    notes = [f"- {note}" for note in _notes(report)]
    return "\n".join([f"### {_title(report)}", "", *head, *body, "", *notes]) + "\n"


def show(console: Console, report: Report) -> None:
    """Print the table and below it what a reader must know."""
    console.print(_title(report))
    rows = [_cells(line, report) for line in _by_cost(report)]
    rows += [("", "", "", "", ""), *((name, "", "", text, "") for name, text in _sums(report))]
    write_table(console, COLUMNS, rows, right=(1, 2, 3))
    for note in _notes(report):
        console.print(f"\n{note}")


def explain(line: Line) -> list[tuple[str, str]]:
    """The arithmetic and the source of one line."""
    component, price = line.component, line.price
    found = [("line", component.id), ("what", component.name), ("quantity", f"{component.quantity:f} {component.unit}")]
    if component.quoted is not None:
        found.append(("price", f"{component.quoted:f} USD per {component.unit}, yours"))
    elif price is None:
        found.append(("price", f"{UNPRICED}: the catalog has no {component.price_key}"))
    else:
        begin = Decimal()
        for step in price.steps:
            to = "" if step.up_to is None else f" up to {step.up_to:f}"
            found.append(("price", f"{step.usd:f} USD per {price.unit} from {begin:f}{to}"))
            begin = step.up_to or begin
        found.append(("source", f"{price.source}, as of {price.as_of}, confidence {price.confidence}"))
    found.append(("month", f"{shown(line.usd)} USD ({component.kind})"))
    return [*found, *([("assumed", component.assumption)] if component.assumption else [])]


def _title(report: Report) -> str:
    mark = ", incomplete" if report.incomplete else ""
    return f"stack {report.stack}: {report.topology} in {report.region}, USD a month of {report.hours:f} hours{mark}"


def _by_cost(report: Report) -> list[Line]:
    return sorted(report.lines, key=lambda line: (-(line.usd or Decimal()), line.component.id))


def _sums(report: Report) -> Sequence[tuple[str, str]]:
    totals = report.totals
    each = totals.per_query
    return (
        ("fixed", shown(totals.fixed)),
        ("usage", shown(totals.usage)),
        ("total of what is priced" if report.incomplete else "total", shown(totals.monthly)),
        ("without models", shown(totals.without_llm)),
        ("per query", "no query" if each is None else f"{each:.6f}"),
    )


def _notes(report: Report) -> list[str]:
    notes = [f"incomplete: {what}" for what in report.incomplete]
    notes += [f"warning: {what}" for what in report.warnings]
    return [*notes, f"not included: {'; '.join(report.not_included)}"]


def _cells(line: Line, report: Report) -> tuple[str, str, str, str, str]:
    component, unit = line.component, line.unit_usd
    owner = component.resource.removeprefix(f"rag-platform-{report.stack}-")
    quantity = f"{component.quantity.quantize(CENT, ROUND_HALF_UP).normalize():,f} {component.unit}"
    price = UNPRICED if unit is None else f"{unit.normalize():f}"
    return f"{owner}: {component.name}", quantity, price, shown(line.usd), component.kind


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
        "monthlyUsd": _exact(line.usd),
        "source": price.source if price and listed else "your quote" if component.quoted is not None else None,
        "asOf": price.as_of.isoformat() if price and listed else None,
        "assumption": component.assumption,
    }


def _totals(report: Report) -> dict[str, str | None]:
    totals = report.totals
    return {
        "fixed": _exact(totals.fixed),
        "usage": _exact(totals.usage),
        "monthlyUsd": _exact(totals.monthly),
        "perQueryUsd": _exact(totals.per_query),
        "withoutLlmUsd": _exact(totals.without_llm),
    }


def _exact(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:.6f}"
