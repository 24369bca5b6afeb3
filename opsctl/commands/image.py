"""`opsctl image`: the container image of a stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, output_option
from opsctl.image.build import Wanted
from opsctl.image.build import build as run_build
from opsctl.image.pins import ADAPTER, BASE
from opsctl.image.push import push as run_push
from opsctl.output import data_console, talk_console, write_json
from opsctl.project import find_project
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from opsctl.output import Form

TAG = "rag-platform:latest"
FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("image")
def image() -> None:
    """Build the container image, and bring it to a stack.

    \b
    Example:
      opsctl image build --stack dev
      opsctl image push --stack dev
    """  # noqa: D301 - click reads \b


@image.command("build")
@click.option("-s", "--stack", type=STACK, help="Bake the reranker that this stack's file names.")
@click.option("-t", "--tag", default=TAG, show_default=True, help="Name of the image.")
@click.option("--platform", type=click.Choice(["linux/amd64", "linux/arm64"]), help="Default: this machine's.")
@click.option("--base", default=BASE, show_default=True, help="Base image; its digest is looked up.")
@click.option("--adapter", default=ADAPTER, show_default=True, help="Image with the Lambda Web Adapter.")
@click.option("--reranker", help="Hub id, OWNER/NAME@COMMIT, or none. Default: the stack's, else none.")
@click.option("--reranker-file", default="onnx/model.onnx", show_default=True, help="Which export of it.")
@click.option("--reranker-sha256", help="What that file must have. Default: what the hub announces.")
@click.option(
    "--ca-bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificates to trust."
)
@click.option("--offline", is_flag=True, help="Ask no registry for a digest: build on the base that is here.")
@click.option("--zip", "archive", type=FILE, help="Write the archive of lambda.packaging: zip there, and no image.")
@click.option("--sbom", type=FILE, default=Path("dist/sbom.cdx.json"), show_default=True, help="List of components.")
@click.option("--no-sbom", is_flag=True, help="Write no such list.")
@output_option
def build(*, stack: str | None, form: Form, no_sbom: bool, **asked: Any) -> None:  # noqa: ANN401 - options by name
    """Build the image from this checkout, with docker, podman or buildah.

    \b
    Example:
      opsctl image build --stack prod --platform linux/arm64
      opsctl image build --zip dist/lambda.zip
    """  # noqa: D301 - click reads \b
    settings, project = environment.load(), find_project()
    talk = talk_console(settings)
    if asked["archive"]:  # 250 MiB unzipped have no room for one
        if asked["reranker"] not in {None, "none"}:
            raise click.UsageError(
                "--zip has no room for a reranker: leave --reranker out, and set retrieval.reranker: none"
            )
        asked["reranker"] = "none"
    if asked["reranker"] is None:
        asked["reranker"] = read_stack_config(project, stack).retrieval.reranker if stack else "none"
    asked["sbom"] = None if no_sbom or asked["archive"] else asked["sbom"]
    built = run_build(project, Wanted(**asked), settings, talk)
    if form == "json":
        reranker = built.reranker
        write_json(
            {
                "version": 1,
                "built": built.what,
                "revision": built.revision,
                "base": {"name": built.base.name, "digest": built.base.digest},
                "adapter": {"name": built.adapter.name, "digest": built.adapter.digest},
                "reranker": reranker
                and {
                    "model": reranker.model,
                    "revision": reranker.revision,
                    "file": reranker.file,
                    "sha256": reranker.sha256,
                },
                "sbom": built.sbom and str(built.sbom),
            }
        )
    else:
        data_console(settings).print(built.what, soft_wrap=True)
    if not asked["archive"]:
        talk.print(f"next: `opsctl image push --stack STACK {built.what}`")


@image.command("push")
@click.argument("source", metavar="IMAGE", default=TAG)
@click.option("-s", "--stack", type=STACK, required=True, help="The stack whose registry and config are written.")
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
    reference = run_push(find_project(), stack, source, settings.environ, talk)
    if form == "json":
        write_json({"version": 1, "stack": stack, "image": reference})
    else:
        data_console(settings).print(reference, soft_wrap=True)
    talk.print(f"written into the config of stack {stack}; next: `opsctl deploy --stack {stack}`")
