"""`opsctl completion`: the words of opsctl, completed by the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print a script that completes commands and options; the shell's start-up file reads it.

    \b
    Example:
      opsctl completion bash > ~/.local/share/bash-completion/completions/opsctl
    """  # noqa: D301 - click reads \b
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - one of click's own
    click.echo(made(ctx.find_root().command, {}, "opsctl", "_OPSCTL_COMPLETE").source())
