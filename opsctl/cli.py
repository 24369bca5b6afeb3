"""The command line: a group that loads a command only when it is asked for, and errors as exit codes.

`opsctl --help` and shell completion read the registry below and import click alone; a command pays for its own imports.
Exit codes: 0 fine, 1 a check failed, 2 usage, 3 the cloud refused, 4 timed out, 5 rolled back. Beside these, 70 is a
fault of opsctl itself and 130 an interruption.
"""

from __future__ import annotations

import sys
from importlib import import_module
from traceback import print_exception
from typing import TYPE_CHECKING, cast

import click

from opsctl.errors import OpsctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT

COMMANDS = {
    "init": ("opsctl.commands.init:init", "Bring up a new stack through both phases; time each step."),
    "smoke-test": (
        "opsctl.commands.smoke_test:smoke_test",
        "Ask the deployed service a real question; judge the answer.",
    ),
    "load-test": (
        "opsctl.commands.load_test:load_test",
        "Send requests at the times of a schedule; report latencies and refusals.",
    ),
    "preflight": (
        "opsctl.commands.preflight:preflight",
        "Say what would stop a deployment, before anything is paid for.",
    ),
    "status": (
        "opsctl.commands.status:status",
        "Say on one screen what runs, what rings, what it costs and what was done last.",
    ),
    "logs": ("opsctl.commands.logs:logs", "Print what the service says, as it comes."),
    "exec": ("opsctl.commands.exec_:exec_", "Run a command where the service runs."),
    "deploy": ("opsctl.commands.deploy:deploy", "Bring a stack to its config; prove that it runs what was asked for."),
    "rollback": ("opsctl.commands.rollback:rollback", "Go back to an earlier image; prove that it runs."),
    "releases": ("opsctl.commands.releases:releases", "List what was deployed, by whom, and what of it runs."),
    "destroy": ("opsctl.commands.destroy:destroy", "Delete what a stack has; say what stays and is paid for."),
    "pause": ("opsctl.commands.pause:pause", "Bring a stack to its cheapest state; say what still bills."),
    "resume": ("opsctl.commands.pause:resume", "Bring a paused stack back; prove that it runs."),
    "image": ("opsctl.commands.image:image", "Build the container image; push it, its digest into a stack's config."),
    "cost-report": ("opsctl.commands.cost_report:cost_report", "Say what a stack costs in a month, line by line."),
    "prices": ("opsctl.commands.prices:prices", "Read the price catalog again from the AWS price list."),
    "model": ("opsctl.commands.model:model", "Copy a model's weights into the bucket of a stack."),
    "deploy-endpoint": (
        "opsctl.commands.deploy_endpoint:deploy_endpoint",
        "Bring the model endpoint of a stack to its config.",
    ),
    "endpoint": (
        "opsctl.commands.endpoint:endpoint",
        "Look at, test, wake, roll back or delete the model endpoint of a stack.",
    ),
    "export-index": (
        "opsctl.commands.export_index:export_index",
        "Make the vectors of Qdrant the newest bundle of a stack's bucket.",
    ),
    "edge": (
        "opsctl.commands.edge:edge",
        "Look at the edges of a stack, update their bundle, or take it back.",
    ),
    "api-keys": ("opsctl.commands.api_keys:api_keys", "Name, rotate and revoke the callers of a stack."),
    "secrets": ("opsctl.commands.secrets:secrets", "Set, rotate and list the secrets of a stack."),
    "backup": ("opsctl.commands.backup:backup", "Copy a stack's self-hosted stores now, or list the copies."),
    "restore": ("opsctl.commands.backup:restore", "Put a copy in the place of what a self-hosted store has."),
    "ingest": ("opsctl.commands.ingest:ingest", "Bring a stack's index up to date with its documents."),
    "dashboard": ("opsctl.commands.dashboard:dashboard", "Say where a stack's dashboard, log and traces are."),
    "watch": ("opsctl.commands.watch:watch", "Show live what a service does: requests, stages, errors."),
    "alerts": ("opsctl.commands.alerts:alerts", "Send a test message to who hears of trouble."),
    "completion": ("opsctl.commands.completion:completion", "Print what makes a shell complete opsctl's words."),
    "doctor": ("opsctl.commands.doctor:doctor", "Say what this machine lacks, and the command that fixes it."),
}
"""Command -> (where its click command is, what the group's help says of it)."""


class LazyGroup(click.Group):
    """Lists its commands from `COMMANDS`; imports one when the command line names it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the registry's order, which is the order of use."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Put the imported command in the place of its stand-in."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else stand_in, rest


def load(name: str) -> click.Command:
    """Import the command that the registry lists under `name`."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    return cast("click.Command", getattr(import_module(module), attribute))


@click.group(
    cls=LazyGroup,
    commands={name: click.Command(name, help=short, short_help=short) for name, (_, short) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "OPSCTL", "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 a check failed, 2 usage, 3 the cloud refused, 4 timed out, 5 rolled back.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="rag-platform", message="%(version)s")
@click.pass_obj
def cli(asked: dict[str, bool], *, debug: bool) -> None:
    """Operate a deployment of rag-platform: prove that it works, deploy it, roll it back."""
    asked["debug"] = debug


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; an error is one line on stderr: what, why, and what next."""
    asked = {"debug": False}
    try:
        return int(cli.main(args, prog_name="opsctl", standalone_mode=False, obj=asked) or 0)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        return exc.exit_code
    except (click.ClickException, OpsctlError) as exc:
        _tell(exc, debug=asked["debug"])
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("opsctl: interrupted; run the same command again", err=True)
        return INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the last resort: a fault of opsctl is told apart from a failed check
        _tell(exc, debug=asked["debug"])
        return INTERNAL_ERROR


def _tell(exc: Exception, *, debug: bool) -> None:
    if debug:
        print_exception(exc)
    click.echo(f"opsctl: {' '.join(_message(exc).split())}", err=True)


def _message(exc: Exception) -> str:
    if isinstance(exc, OpsctlError):
        return str(exc)
    if isinstance(exc, click.UsageError) and exc.ctx is not None:
        return f"{exc.format_message().rstrip('.')}; see `{exc.ctx.command_path} --help`"
    if isinstance(exc, click.ClickException):
        return exc.format_message()
    return f"internal error: {type(exc).__name__}: {exc}; run `opsctl --debug ...` and report the traceback"


if __name__ == "__main__":
    sys.exit(main())
