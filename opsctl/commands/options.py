"""Options that several commands share, each spelled once."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from collections.abc import Callable

AnyCommand = TypeVar("AnyCommand", bound="Callable[..., Any]")


def http_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Callback of an option that takes a service's address."""
    if value is None:
        return None
    try:
        import httpx  # noqa: PLC0415 - the client that will be given the address; help must not wait for it

        parts, port = urlsplit(value), urlsplit(value).port
        _ = httpx.URL(value).host
    except (ValueError, httpx.InvalidURL) as exc:  # port and host are checked only when they are read
        raise click.BadParameter(f"'{value}' is no address: {exc}", ctx=ctx, param=param) from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise click.BadParameter(f"'{value}' is not like https://host", ctx=ctx, param=param)
    return value.rstrip("/")


class Finite(click.FloatRange):
    """The type of every option that is a number: click's lets nan pass, which is neither above nor below anything."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, within the range."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class FileToWrite(click.Path):
    """A file that can be written, known before the work whose report goes there: its folder is there and ours."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Its path."""
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        # access first: what may not be searched may not be asked whether it is a folder
        if not (os.access(file.parent, os.W_OK | os.X_OK) and file.parent.is_dir()) and not file.exists():
            self.fail(f"'{file}' can't be written: give a file in a folder that is there and yours.", param, ctx)
        return file


class StackName(click.ParamType[str]):
    """A stack's name: an empty one, from a variable that is not set, would mean the stack that is selected."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, refused where it is empty."""
        if not value.strip():
            self.fail("it is empty: name a stack, see `pulumi stack ls`.", param, ctx)
        return value


STACK = StackName()


def output_option(command: AnyCommand) -> AnyCommand:
    """`--output table|json`, as `form`."""
    option = click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="table to read, json to process.",
    )
    return option(command)


def url_option(command: AnyCommand) -> AnyCommand:
    """`--url`, checked."""
    return click.option("--url", callback=http_url, help="Test this address instead of the stack's.")(command)


def golden_option(command: AnyCommand) -> AnyCommand:
    """`--golden FILE`."""
    option = click.option(
        "--golden",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Questions and the titles of their right documents (YAML). Default: those of the demo corpus for "
        "--url and for a local stack without documents of its own, else questions made from what it holds.",
    )
    return option(command)


def request_limit_option(command: AnyCommand) -> AnyCommand:
    """`--timeout`, of one request, as `limit_s`."""
    option = click.option(
        "--timeout",
        "limit_s",
        type=Finite(min=0, min_open=True),
        default=150,  # above the edge's own deadline of 120 s: two cores decode a few tokens a second
        show_default=True,
        help="Seconds that one request of the smoke test may take.",
    )
    return option(command)


def seconds_option(flag: str, name: str, default: float, text: str) -> Callable[[AnyCommand], AnyCommand]:
    """A number of seconds, 0 included."""
    kind = Finite(min=0)
    return click.option(flag, name, type=kind, default=default, show_default=True, help=text)


def deployment_options(command: AnyCommand) -> AnyCommand:
    """What `deploy` and `rollback` have in common."""
    for option in reversed(
        (
            click.option("-s", "--stack", type=STACK, required=True, help="The stack that is changed."),
            click.option("-y", "--yes", is_flag=True, help="Don't ask before changing it."),
            click.option("--smoke-test/--no-smoke-test", default=True, help="Test it in the end (the default)."),
            url_option,
            golden_option,
            request_limit_option,
            click.option(
                "--settle-timeout",
                "settle_limit_s",
                type=Finite(min=0, min_open=True),
                default=900,
                show_default=True,
                help="Seconds that the rollout may take.",
            ),
            output_option,
        )
    ):
        command = option(command)
    return command


def endpoint_run_options(command: AnyCommand) -> AnyCommand:
    """What all commands that change a model endpoint have in common."""
    for option in reversed(
        (
            click.option("-s", "--stack", type=STACK, required=True, help="The stack that owns the endpoint."),
            click.option("-y", "--yes", is_flag=True, help="Don't ask before changing it."),
            click.option(
                "--timeout",
                "limit_s",
                type=Finite(min=0, min_open=True),
                default=3600,
                show_default=True,
                help="Seconds that all of it may take; afterwards the same command goes on from there.",
            ),
        )
    ):
        command = option(command)
    return command
