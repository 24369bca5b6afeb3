"""The Pulumi program: the stack config picks a topology, its Delivery becomes the stack's outputs."""

from __future__ import annotations

import pulumi

from infra import collector, config, delivery, topologies
from infra.errors import InfraError


def main() -> None:
    """Build the stack that the engine asks for; a mistake in its config is reported without a traceback."""
    stack = pulumi.get_stack()
    try:
        with collector.paused():
            cfg = config.load(stack)
            built = topologies.load(cfg.topology)(f"{pulumi.get_project()}-{stack}", cfg)
    except InfraError as exc:
        raise pulumi.RunError(str(exc)) from exc
    delivery.export(built.delivery)


main()
