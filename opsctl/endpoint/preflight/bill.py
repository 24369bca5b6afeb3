"""What an endpoint costs by the hour and by the month, from its shape and the catalog's price of its instances."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.cost.catalog import load
from opsctl.endpoint.spec import Classic
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from opsctl.cost.catalog import Price
    from opsctl.endpoint.spec import EndpointSpec

HOURS_PER_MONTH = 730


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill.

    Attributes:
        hourly_usd: of one instance; None where it has no price.
        fewest, most: instances, when nobody asks and when many do.
        spelled: the same in a line.
    """

    hourly_usd: Decimal | None
    fewest: int
    most: int
    spelled: str


def price_key(instance_type: str) -> str:
    """The catalog's key of a SageMaker hosting instance."""
    return f"sagemaker.host.{instance_type}.hour"


def bill(spec: EndpointSpec, price: Price | None) -> Bill:
    """The bill of `spec`."""
    classic = isinstance(spec.shape, Classic)
    fewest = spec.shape.min_instances if isinstance(spec.shape, Classic) else 0
    most = spec.shape.max_instances if isinstance(spec.shape, Classic) else spec.shape.max_copies
    if price is None:
        return Bill(None, fewest, most, f"{spec.instance_type} has no price for {spec.region}; it is not free")
    hourly = price.of(Decimal(1))
    idle = "" if classic else ", nothing while it sleeps"
    return Bill(
        hourly,
        fewest,
        most,
        f"{hourly:.3f} USD an hour for each {spec.instance_type}; {fewest} to {most} of them are "
        f"{hourly * fewest * HOURS_PER_MONTH:,.2f} to {hourly * most * HOURS_PER_MONTH:,.2f} USD a month{idle} "
        f"(list price of {price.as_of}, confidence {price.confidence})",
    )


def price_of(spec: EndpointSpec) -> Price | None:
    """The list price of one of the spec's instances by the hour; None where the catalog has none."""
    try:
        return load(spec.region).find(price_key(spec.instance_type))
    except NotUsable:  # a region without a catalog: unpriced, which the check says
        return None
