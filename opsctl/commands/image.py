"""`opsctl image`: the container image of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import output_option
from opsctl.image.push import push as run
from opsctl.output import data_console, talk_console, write_json
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.output import Form


@click.group("image")
def image() -> None:
    """Handle the container image of a stack.

    \b
    Example:
      opsctl image push --stack dev rag-platform:latest
    """  # noqa: D301 - click reads \b


@image.command("push")
@click.argument("source", metavar="IMAGE", default="rag-platform:latest")
@click.option("-s", "--stack", required=True, help="The stack whose registry and config are written.")
@output_option
def push(*, source: str, stack: str, form: Form) -> None:
    """Push the local IMAGE to the stack's registry and write its digest into the stack config.

    IMAGE is rag-platform:latest unless given. What runs changes with the next `opsctl deploy`.

    \b
    Example:
      opsctl image push --stack dev rag-platform:latest
    """  # noqa: D301 - click reads \b
    settings = environment.load()
    talk = talk_console(settings)
    reference = run(find_project(), stack, source, settings.environ, talk)
    if form == "json":
        write_json({"version": 1, "stack": stack, "image": reference})
    else:
        data_console(settings).print(reference, soft_wrap=True)
    talk.print(f"written into the config of stack {stack}; next: `opsctl deploy --stack {stack}`")
