"""The registry of topologies: the word in the stack config -> the component that builds it.

A component is imported when it is chosen, so that an edge needs no cloud SDK and a preview loads one topology only.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.config import StackConfig
    from infra.delivery import Delivery

TOPOLOGIES: Mapping[str, str] = {
    "ecs": "infra.topologies.ecs:EcsTopology",
    "eks": "infra.topologies.eks:EksTopology",
    "lambda": "infra.topologies.serverless:ServerlessTopology",
    "hybrid": "infra.topologies.hybrid:HybridTopology",
}


class Topology(Protocol):
    """What every topology is to the program: built from the config, it has a Delivery."""

    delivery: Delivery


class Builder(Protocol):
    """A topology's constructor."""

    def __call__(self, name: str, cfg: StackConfig, opts: pulumi.ResourceOptions | None = None) -> Topology:
        """Declare every resource of the topology below one component called `name`."""
        ...


def load(topology: str) -> Builder:
    """The component of `topology`.

    Raises:
        KeyError: it isn't in the registry; the config names legal ones only.
    """
    return cast("Builder", resolve_name(TOPOLOGIES[topology]))
