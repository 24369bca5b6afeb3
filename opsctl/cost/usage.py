"""What a stack is used for in a month: figures with their units in their names and a reason each; three are shipped."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from opsctl.cost.mistakes import reasons
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Sequence

PROFILES = ("low", "expected", "high")
ABSURD = Decimal(10) ** 12

DIGITS = 12  # after the point; a figure with more is a slip, and its lines would be as long
HOURS = Decimal(24 * 31)

Amount = Annotated[Decimal, Field(ge=0, le=ABSURD, decimal_places=DIGITS)]
Why = Annotated[str, Field(min_length=1)]


class Figure(BaseModel):
    """A figure and what it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Amount
    why: Why


class Share(Figure):
    """A part of a whole."""

    value: Annotated[Decimal, Field(ge=0, le=1, decimal_places=DIGITS)]


class Positive(Figure):
    """What something is divided by."""

    value: Annotated[Decimal, Field(gt=0, le=ABSURD, decimal_places=DIGITS)]


class Hours(Figure):
    """A month's length, or the part of it that is billed."""

    value: Annotated[Decimal, Field(gt=0, le=HOURS, decimal_places=DIGITS)]


class Figures(BaseModel):
    """Every figure that a price is multiplied with; a file gives all of them: none is assumed in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours_per_month: Hours
    queries_per_month: Figure
    cache_hit_share: Share
    query_model_input_tokens_per_query: Figure
    query_model_output_tokens_per_query: Figure
    generation_input_tokens_per_query: Figure
    generation_output_tokens_per_query: Figure
    response_kib_per_query: Figure
    upstream_kib_per_query: Figure
    nat_base_gib_per_month: Figure
    service_log_kib_per_query: Figure
    access_log_kib_per_query: Figure
    service_metrics: Figure
    own_function_seconds: Figure
    firewall_log_kib_per_query: Figure
    flow_log_gib_per_month: Figure
    function_seconds_per_query: Figure
    cold_starts_per_month: Figure
    snapshots: Figure
    control_plane_log_gib_per_month: Figure
    node_log_gib_per_month: Figure
    peak_to_average_ratio: Figure
    scheduled_hours_per_month: Figure
    active_hours_per_month: Figure
    wakes_per_month: Figure
    wake_start_minutes: Figure
    idle_tail_minutes: Figure
    image_gib: Figure
    zip_gib: Figure
    weights_gib: Figure
    bundle_gib: Figure
    snapshot_gib_per_volume_gib: Figure
    tokens_per_second_per_instance: Positive
    requests_per_minute_per_replica: Positive | None = None  # as `load-test --find-capacity` measured it


class Quotes(BaseModel):
    """What a vendor without a list price asks of you."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    qdrant_cloud_usd_per_month: Figure | None = None
    atlas_usd_per_month: Figure | None = None


class Usage(BaseModel):
    """One month's use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    figures: Figures
    quotes: Quotes = Quotes()

    def amount(self, name: str) -> Decimal:
        """The value of a figure by its name."""
        figure: Figure = getattr(self.figures, name)
        return figure.value

    def because(self, *names: str) -> str:
        """The figures that a line rests on, as a reader checks them."""
        return "; ".join(f"{name} {self.amount(name):f} ({getattr(self.figures, name).why})" for name in names)

    def having(self, **amounts: Decimal) -> Usage:
        """The same with other values of some figures; reasons stay."""
        figures = {name: getattr(self.figures, name).model_copy(update={"value": usd}) for name, usd in amounts.items()}
        return self.model_copy(update={"figures": self.figures.model_copy(update=figures)})

    def quoting(self, **amounts: Decimal) -> Usage:
        """The same with other quotes."""
        quotes = {name: Figure(value=usd, why="by this lever") for name, usd in amounts.items()}
        return self.model_copy(update={"quotes": self.quotes.model_copy(update=quotes)})


def load(given: str, changes: Sequence[str] = ()) -> Usage:
    """A shipped profile by its name, or a file, with `name=value` changes on top.

    Raises:
        NotUsable: there is no such profile or file, or it is damaged; a change names no figure or no amount.
    """
    shipped = given in PROFILES
    source = files("opsctl.cost").joinpath("usage", f"{given}.yaml") if shipped else Path(given)
    try:
        tree = YAML(typ="safe", pure=True).load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise NotUsable(
            f"--usage {given}: {exc}", next_step=f"give one of {', '.join(PROFILES)}, or a readable YAML file"
        ) from exc
    try:
        return Usage.model_validate(_changed(tree, changes))
    except ValidationError as exc:
        raise NotUsable(f"--usage {given}: {reasons(exc)}", next_step="copy a shipped profile and change it") from exc


def _changed(tree: object, changes: Sequence[str]) -> object:
    figures = tree.get("figures") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(figures, dict):
        return tree
    more: dict[str, Any] = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in Figures.model_fields:
            raise NotUsable(f"--set {change}: no figure is called '{name}'", next_step=_legal())
        try:
            more[name] = {"value": Decimal(value), "why": "given by --set"}
        except InvalidOperation as exc:
            raise NotUsable(f"--set {change}: '{value}' is no number", next_step=f"write {name}=1000") from exc
    return {**tree, "figures": {**figures, **more}}


def _legal() -> str:
    return f"figures are {', '.join(Figures.model_fields)}"
