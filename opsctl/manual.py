"""The manual `docs/opsctl.md`, written from the commands themselves: `python -m opsctl.manual > docs/opsctl.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsctl.cli import COMMANDS, INTERNAL_ERROR, INTERRUPTED, load
from opsctl.errors import CheckFailed, CloudRefused, NotUsable, RolledBack, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# opsctl

Written by `make manual` from the commands; a test holds the two equal.

Every command tells its data on stdout and everything else on stderr; where it prints data, `--output json` makes one
document of it. Errors are one line: what, why, and what to do next. `opsctl --debug COMMAND` shows a traceback. A value
that is a secret is read from a prompt, a file or stdin, and never from the command line. Every option may also be given
as a variable: `--stack` of `opsctl deploy` as `OPSCTL_DEPLOY_STACK`.
"""
EXIT_CODES = {
    0: "fine",
    CheckFailed.exit_code: "a check ran, and what it looked at is not as it should be",
    NotUsable.exit_code: "the command could not start: a flag, a file, a stack or a tool",
    CloudRefused.exit_code: "the cloud, or the engine, refused",
    TimedOut.exit_code: "no answer in time; run the same command again",
    RolledBack.exit_code: "what runs is not what was asked for",
    INTERNAL_ERROR: "a fault of opsctl itself",
    INTERRUPTED: "Ctrl-C",
}


def manual() -> str:
    """All of it, as Markdown."""
    parts = [HEAD, "## Exit codes\n", "| code | what it means |\n|---|---|"]
    parts += [f"| {code} | {what} |" for code, what in EXIT_CODES.items()]
    parts.append("")
    for name, (_, summary) in COMMANDS.items():
        parts += [f"## opsctl {name}\n", f"{summary}\n", *_command(load(name), f"opsctl {name}", 3)]
    return "\n".join(parts).rstrip() + "\n"


def _command(command: click.Command, path: str, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    words = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{path} {words}\n```\n"
    yield from _text(command.help or "")
    rows = [record for param in command.get_params(context) if (record := _row(param, context))]
    if rows:
        yield "| option | |\n|---|---|"
        yield from rows
        yield ""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None  # noqa: S101 - it is listed
            yield f"{'#' * level} {path} {name}\n"
            yield from _command(below, f"{path} {name}", level + 1)


def _text(text: str) -> Iterator[str]:
    """Paragraphs of a command's help; those that click leaves as they are become code."""
    for paragraph in text.strip().split("\n\n"):
        lines = [line.strip() for line in paragraph.strip().splitlines()]
        if lines[0] == "\b":
            title, *examples = lines[1:]
            yield f"{title}\n"
            yield "```console\n" + "\n".join(f"$ {line}" for line in examples) + "\n```\n"
        else:
            yield " ".join(lines) + "\n"


def _row(param: click.Parameter, context: click.Context) -> str | None:
    if isinstance(param, click.Argument):
        return f"| `{param.make_metavar(context)}` | {'needed' if param.required else 'may be left out'} |"
    record = param.get_help_record(context)
    if record is None or "--help" in param.opts:
        return None
    flags, said = (text.replace("|", r"\|") for text in record)
    return f"| `{flags}` | {' '.join(said.split())} |"


if __name__ == "__main__":
    sys.stdout.write(manual())
