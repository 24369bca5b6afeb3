"""`opsctl exec`: a command beside the running service."""

from __future__ import annotations

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK
from opsctl.project import find_project


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, metavar="[COMMAND]...")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose service it is.")
@click.option("--edge", help="Which of the stack's edges, as `hybrid.edge.hosts` spells it.")
def exec_(*, command: tuple[str, ...], stack: str, edge: str | None) -> int:
    """Run COMMAND, a shell unless given, where the service runs: in its container, or on its edge's host.

    It needs the program that connects the two: session-manager-plugin for ECS (and `ecs.exec: true`; sessions are
    logged), kubectl for EKS, OpenSSH for an edge elsewhere. A function takes no shell. Options come before COMMAND.
    Ends with the command's own exit code.

    \b
    Example:
      opsctl exec --stack dev -- python -m service.jobs.evaluate golden.yaml
    """  # noqa: D301 - click reads \b
    from opsctl.shell.attached import attach  # noqa: PLC0415 - the engine's SDK: help must not wait for it
    from opsctl.shell.open import way_into  # noqa: PLC0415

    environ = environment.load().environ
    with way_into(find_project(), stack, environ, command or ("sh",), edge=edge) as way:
        return attach(way, environ)
