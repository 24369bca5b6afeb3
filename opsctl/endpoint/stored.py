"""A spec as JSON and back; what an older opsctl wrote is read with today's defaults."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from opsctl.endpoint.spec import (
    BucketModel,
    Classic,
    EndpointSpec,
    HubModel,
    ScaleToZero,
    StartLimits,
    Thresholds,
    Vpc,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SHAPES: dict[str, type[Classic | ScaleToZero]] = {"classic": Classic, "scale-to-zero": ScaleToZero}
SOURCES: dict[str, type[HubModel | BucketModel]] = {"hub": HubModel, "bucket": BucketModel}


def spell(spec: EndpointSpec) -> dict[str, Any]:
    """A JSON document."""
    document = asdict(spec)
    document["shape"]["kind"] = _kind(SHAPES, spec.shape)
    document["source"]["kind"] = _kind(SOURCES, spec.source)
    return document


def read(document: Mapping[str, Any]) -> EndpointSpec:
    """The spec that `spell` spelled.

    Raises:
        ValueError, TypeError, LookupError: it isn't one.
    """
    known = {field.name for field in fields(EndpointSpec)}
    values = {name: value for name, value in document.items() if name in known}
    vpc = values.get("vpc")
    values |= {
        "shape": _part(SHAPES, document["shape"]),
        "source": _part(SOURCES, document["source"]),
        "vpc": Vpc(tuple(vpc["subnets"]), tuple(vpc["security_groups"])) if vpc else None,
        "limits": StartLimits(**document["limits"]),
        "thresholds": Thresholds(**document["thresholds"]),
        "environment": tuple((name, value) for name, value in document["environment"]),
    }
    return EndpointSpec(**values)


def _kind(kinds: Mapping[str, type], value: object) -> str:
    return next(name for name, each in kinds.items() if isinstance(value, each))


def _part(kinds: Mapping[str, type], document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - one of the kinds
    return kinds[document["kind"]](**{name: value for name, value in document.items() if name != "kind"})
