"""What was asked of a stack's cost: the one place that knows every view."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.cost import usage
from opsctl.cost.engine_state import previewed
from opsctl.cost.pricing import Pricing
from opsctl.cost.stack_source import stack_tree
from opsctl.cost.views import bill, compare, difference, guide, levers, sweep
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opsctl.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Question:
    """At most one of these, except that `compare` names the topologies of a `sweep`; none asks for the report."""

    compare: str | None = None
    sweep: str | None = None
    other: Path | None = None
    optimise: bool = False
    guide: bool = False


def pricing_of(
    file: Path,
    *,
    profile: str,
    figures: Sequence[str],
    region: str | None,
    preview: Path | None,
    free_tier: bool,
) -> Pricing:
    """The stack of a file, ready to be priced today.

    Raises:
        NotUsable: a file can't be read, or what it says is wrong.
    """
    return Pricing(
        stack=file.name.removeprefix("Pulumi.").removesuffix(".yaml"),
        tree=stack_tree(file),
        usage=usage.load(profile, figures),
        today=dt.datetime.now(tz=dt.UTC).date(),
        region=region,
        preview=None if preview is None else previewed(preview),
        free_tier=free_tier,
    )


def answer(pricing: Pricing, question: Question) -> Sheet:
    """The sheet that was asked for.

    Raises:
        NotUsable: the question or the stack's config is wrong.
    """
    if question.optimise:
        return levers.sheet(pricing)
    if question.guide:
        return guide.sheet(pricing.catalog(pricing.situation()), pricing.today)
    if question.other is not None:
        return difference.sheet(_before_and_after(pricing, question.other))
    names = _names(question.compare) if question.compare is not None else []
    if question.sweep is not None:
        return sweep.sheet(pricing, names or [pricing.situation().cfg.topology], sweep.parsed(question.sweep))
    return compare.sheet(pricing, names) if names else bill.sheet(pricing.report())


def _names(compared: str) -> list[str]:
    """Each topology once.

    Raises:
        NotUsable: there is none.
    """
    names = dict.fromkeys(name.strip() for name in compared.split(",") if name.strip())
    if not names:
        raise NotUsable(f"--compare '{compared}': names no topology", next_step="write --compare ecs,hybrid")
    return [*names]


def explained(pricing: Pricing, wanted: str) -> list[list[tuple[str, str]]]:
    """The arithmetic of each line whose id is `wanted`.

    Raises:
        NotUsable: there is none.
    """
    lines = pricing.report().lines
    found = [bill.explain(line) for line in lines if line.component.id == wanted]
    if not found:
        ids = ", ".join(line.component.id for line in lines)
        raise NotUsable(f"--explain {wanted}: there is no such line", next_step=f"lines are {ids}")
    return found


def _before_and_after(pricing: Pricing, other: Path) -> difference.Difference:
    """Another stack file under the same use and prices, or a report that was kept."""
    after = bill.document(pricing.report())
    if other.suffix == ".json":
        return difference.Difference(difference.kept(other), after)
    before = Pricing(
        stack=other.name.removeprefix("Pulumi.").removesuffix(".yaml"),
        tree=stack_tree(other),
        usage=pricing.usage,
        today=pricing.today,
        region=pricing.region,
        free_tier=pricing.free_tier,
    )
    return difference.Difference(bill.document(before.report()), after)
