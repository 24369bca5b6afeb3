"""`opsctl model`: the weights of the model that a stack's endpoint serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.output import data_console, talk_console, working, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.model.upload import Result
    from opsctl.model.weights import Weights
    from opsctl.output import Form
    from opsctl.stack import Delivery


@click.group("model")
def model() -> None:
    """Handle the weights of the model that a stack's endpoint serves.

    \b
    Example:
      opsctl model upload --stack prod mlabonne/TwinLlama-3.1-8B-DPO
    """  # noqa: D301 - click reads \b


@model.command("upload")
@click.argument("name", metavar="MODEL")
@click.option("-s", "--stack", type=STACK, required=True, help="The stack into whose bucket it is copied.")
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copy this folder instead of the hub's files; MODEL is what generation.model calls it.",
)
@click.option("--revision", default="main", show_default=True, help="Branch, tag or commit of the hub's files.")
@output_option
def upload(*, name: str, stack: str, folder: Path | None, revision: str, form: Form) -> None:
    """Copy MODEL into the stack's bucket, so that its endpoint starts without the hub and without a token.

    A run that was broken off goes on where it stopped. A gated model needs HF_TOKEN, or the stack's
    secrets.huggingFaceToken; the endpoint sees neither. It changes with the next `opsctl deploy-endpoint`.

    \b
    Examples:
      opsctl model upload --stack prod meta-llama/Llama-3.1-8B-Instruct
      opsctl model upload --stack prod acme/tuned --from ./tuned
    """  # noqa: D301 - click reads \b
    from opsctl.model.run import copy_model  # noqa: PLC0415 - boto3 and the hub's client; help must not wait for them

    settings = environment.load()
    talk = talk_console(settings)

    def open_weights(delivery: Delivery) -> Weights:
        if folder is not None:
            from opsctl.model.folder import FolderWeights  # noqa: PLC0415

            with working(talk, f"hashing {folder} ..."):
                return FolderWeights.open(name, folder)
        from opsctl.model.hub import HubWeights  # noqa: PLC0415
        from opsctl.model.token import with_token  # noqa: PLC0415

        with working(talk, f"asking {settings.hub.url} for {name} ..."):
            return HubWeights.open(name, revision, with_token(settings.hub, delivery))

    uri, result = copy_model(find_project(), stack, open_weights, settings, talk)
    if form == "json":
        write_json(_document(stack, uri, result))
    else:
        rows = [
            ("model", result.copy.model),
            ("revision", result.copy.revision),
            ("at", uri),
            ("files", str(len(result.copy.files))),
            ("bytes", f"{result.copy.size:,}"),
            ("sent by this run", f"{result.sent_bytes:,}"),
        ]
        write_table(data_console(settings), (f"stack {stack}", ""), rows)
    talk.print(f"next: `opsctl deploy-endpoint --stack {stack}`")


def _document(stack: str, uri: str, result: Result) -> dict[str, object]:
    return {
        "version": 1,
        "stack": stack,
        "model": result.copy.model,
        "revision": result.copy.revision,
        "uri": uri,
        "files": len(result.copy.files),
        "bytes": result.copy.size,
        "sentFiles": result.sent_files,
        "sentBytes": result.sent_bytes,
    }
