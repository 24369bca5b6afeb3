"""`opsctl export-index`: the vectors of Qdrant as the newest bundle of a stack's bucket."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl import settings as environment
from opsctl.commands.options import STACK, Finite, http_url, output_option
from opsctl.errors import NotDeployed
from opsctl.output import data_console, talk_console, write_json, write_table
from opsctl.project import find_project

if TYPE_CHECKING:
    from opsctl.edge.export import Exported
    from opsctl.output import Form

INDEXES = ("sq8", "flat", "ivf-sq8", "hnsw")


@click.command("export-index")
@click.option("-s", "--stack", type=STACK, required=True, help="The hybrid stack into whose bucket it goes.")
@click.option("--index", type=click.Choice(INDEXES), help="Kind of the index. Default: hybrid.index.type.")
@click.option(
    "--min-recall",
    type=Finite(0, 1, min_open=True),
    help="Refuse an index that finds less of what exact search finds. Default: hybrid.index.minRecall.",
)
@click.option("--qdrant", "url", callback=http_url, help="Read this Qdrant. Default: retrieval.url of the stack file.")
@click.option(
    "--bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Send a bundle that is on this machine (`python -m service.jobs.ingest --out DIR`); nothing is read.",
)
@output_option
def export_index(
    *,
    stack: str,
    index: str | None,
    min_recall: float | None,
    url: str | None,
    bundle: Path | None,
    form: Form,
) -> None:
    """Read the vectors of Qdrant into a FAISS bundle, and make it the newest of the stack's bucket.

    Edges take it by themselves within hybrid.bundle.checkMinutes, without a failed request; `opsctl edge update` makes
    them do it now. QDRANT_APIKEY is used where it is set, else the stack's secrets.qdrantApiKey.

    \b
    Examples:
      opsctl export-index --stack prod
      opsctl export-index --stack prod --index ivf-sq8 --min-recall 0.95
    """  # noqa: D301 - click reads \b
    from opsctl.aws.bundles import BundleBucket  # noqa: PLC0415 - boto3 and the compressor; help must not wait for them
    from opsctl.edge.export import publish  # noqa: PLC0415
    from opsctl.edge.job import export_bundle  # noqa: PLC0415
    from opsctl.edge.source import source_of  # noqa: PLC0415
    from opsctl.stack import read_delivery  # noqa: PLC0415
    from opsctl.stack_config import read_stack_config  # noqa: PLC0415

    settings, project = environment.load(), find_project()
    talk = talk_console(settings)
    cfg, delivery = read_stack_config(project, stack), read_delivery(project, stack, settings.environ)
    if delivery.bundle is None:
        raise NotDeployed(
            f"stack '{stack}' has no bucket for bundles",
            next_step="it is a hybrid's, with an aws:region and without hybrid.bundle.bucket false; then `pulumi up`",
        )
    bucket = BundleBucket.open(delivery.bundle.bucket, delivery.bundle.prefix, delivery.region)
    with tempfile.TemporaryDirectory(prefix="rag-index-") as scratch:
        folder = bundle / "current" if bundle and (bundle / "current").is_dir() else bundle
        if folder is None:
            folder = export_bundle(
                source_of(cfg, delivery, url, settings),
                Path(scratch),
                index=index or cfg.hybrid.index.type,
                min_recall=min_recall or cfg.hybrid.index.min_recall,
                home=settings.environ.get("HOME", "/"),
                talk=talk,
            )
        done = publish(folder, bucket, keep=cfg.hybrid.bundle.keep, tell=talk.print)
    if form == "json":
        write_json(_document(stack, done))
    else:
        write_table(data_console(settings), (f"stack {stack}", ""), _rows(done))
    talk.print(f"edges take it by themselves; now: `opsctl edge update --stack {stack}`")


def _rows(done: Exported) -> list[tuple[str, str]]:
    manifest = done.packed.manifest
    return [
        ("newest", done.uri),
        ("index", f"{manifest['indexType']}, recall@10 {manifest['recallAt10']:.4f}"),
        ("chunks", f"{manifest['count']:,}"),
        ("made", str(manifest["created"])),
        ("bytes", f"{done.packed.size:,}{'' if done.sent else ' (it was there)'}"),
        *((("removed", name)) for name in done.removed),
    ]


def _document(stack: str, done: Exported) -> dict[str, object]:
    manifest = done.packed.manifest
    return {
        "version": 1,
        "stack": stack,
        "uri": done.uri,
        "sha256": done.packed.sha256,
        "bytes": done.packed.size,
        "sent": done.sent,
        "removed": list(done.removed),
        "bundle": {
            "created": manifest["created"],
            "indexType": manifest["indexType"],
            "recallAt10": manifest["recallAt10"],
            "count": manifest["count"],
        },
    }
