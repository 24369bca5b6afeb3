"""Delivery: what every topology hands to the world, as the stack's outputs.

The names are the same in all topologies and an absent part is null, so that no reader has to ask which topology is up.
`opsctl` parses exactly these (docs/topologies.md lists them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from infra.config import StackConfig

Text = pulumi.Input[str]
Texts = Mapping[str, Text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What runs: the image by digest where there is one, and the revision of whatever carries it."""

    image: Text | None = None
    revision: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Where the service's lines go: a log group, or what selects them where `kind` says."""

    kind: str
    group: Text | None = None
    selector: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the service runs."""

    name: Text
    service: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Who moves the requests to a new revision bit by bit, once `opsctl deploy` says so."""

    application: Text
    group: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What a model endpoint needs from the stack; the endpoint itself belongs to `opsctl deploy-endpoint`."""

    name: Text
    role_arn: Text | None = None
    bucket: Text | None = None
    key_arn: Text | None = None
    subnets: pulumi.Input[list[str]] | None = None
    security_group: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Where edge bundles are kept in the cloud."""

    bucket: Text
    prefix: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What a smoke test holds the service to, besides its contract."""

    collections: tuple[str, ...]
    p95_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The narrow result of a topology.

    Attributes:
        secrets: name -> ARN, never a value.
        topics: alarm severity -> ARN.
        jobs: how to start a service job; `kind` says in which words.
    """

    url: Text | None
    health_url: Text | None
    topology: str
    release: Release
    region: Text | None = None
    logs: Logs | None = None
    dashboard_url: Text | None = None
    registry: Text | None = None
    secrets: Texts | None = None
    topics: Texts | None = None
    jobs: Mapping[str, pulumi.Input[Any]] | None = None
    cluster: Cluster | None = None
    rollout: Rollout | None = None
    endpoint: Endpoint | None = None
    bundle: Bundle | None = None
    promises: Promises | None = None
    cost_tags: Mapping[str, str] | None = None


def promises(cfg: StackConfig) -> Promises:
    """What `cfg` promises to callers; an edge is as fast as its host, so nobody can say how fast."""
    in_time = cfg.monitoring.p95_seconds if cfg.topology != "hybrid" else None
    return Promises(collections=cfg.retrieval.collections, p95_seconds=in_time)


def export(delivery: Delivery) -> None:
    """Make `delivery` the outputs of the running stack."""
    for name, value in outputs(delivery).items():
        pulumi.export(name, value)


def outputs(part: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the dataclasses above
    """A part as camelCase keys; every field is there, absent ones as None."""
    return {to_camel(field.name): _spelled(getattr(part, field.name)) for field in fields(part)}


def _spelled(value: Any) -> Any:  # noqa: ANN401 - a field's value, an Output or not
    return outputs(value) if is_dataclass(value) else value
