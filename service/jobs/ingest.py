"""Documents -> chunks -> vectors -> a Qdrant, or an edge bundle.

    python -m service.jobs.ingest [PATH | --mongo] (--qdrant | --out DIR [--index sq8]) [--workers N] [--engine ray]

PATH is a folder of Markdown, HTML, text or JSONL; `--mongo` reads the collections RAG_COLLECTIONS at DATABASE_HOST;
without either the demo corpus of this machine is taken. Addresses and keys are the service's own environment. Progress
and the counts go to stderr; the report (Qdrant) or the manifest (bundle) to stdout. Exit code 1 and one line where it
can't finish: the same command then goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from service import settings
from service.adapters import packaged
from service.adapters.onnx_minilm import DIMENSION, MODEL_ID
from service.adapters.qdrant_points import Address
from service.bundle import IndexType, Manifest
from service.errors import RagError, StartupError
from service.jobs import bundle_writer, corpus, desk, engines, progress, sinks, sources, summaries, work
from service.jobs.cleaning import Dropped
from service.jobs.ledger import Ledger
from service.jobs.work import Recipe
from service.vault import fetch

if TYPE_CHECKING:
    from service.jobs.corpus import Document
    from service.jobs.sinks import Sink
    from service.jobs.sources import Source
    from service.settings import Settings

PATIENCE_S = 60.0
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Bring one index up to date; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.mongo and options.path:
        parser.error("PATH and --mongo are two sources; give one")
    try:
        if options.qdrant:
            said = json.dumps(_into_qdrant(options), indent=2)
        else:
            said = _into_bundle(options).model_dump_json(by_alias=True, indent=2)
    except RagError as exc:
        return _ended(exc.detail, 1)
    except OSError as exc:
        where = f"{options.out}: " if options.out else ""
        return _ended(f"{where}{exc.strerror or exc}; the old bundle is untouched", 1)
    except KeyboardInterrupt:
        return _ended("interrupted; run it again to go on", INTERRUPTED)
    sys.stdout.write(said + "\n")
    return 0


def ingest(path: Path | None, out: Path, kind: IndexType, *, min_recall: float, threads: int) -> Manifest:
    """Index a folder, or the demo corpus, into the bundle home `out`, in this process.

    Raises:
        StartupError: nothing to read, a model that can't be loaded, or a recall below `min_recall`.
    """
    told = settings.load(fetch, **settings.NOT_A_SERVER, vector_store="faiss", bundle_dir=out)
    source: Source = sources.Demo() if path is None else sources.Folder(path)
    return _bundle(source, out, kind, min_recall, _recipe(told, threads, source), engines.inline)


def run(source: Source, sink: Sink, engine: engines.Engine, recipe: Recipe, model_sha256: str) -> Ledger:
    """Read, compare with what is there, work, remove, count.

    Raises:
        StartupError: the counts don't add up, or a part refused.
        StageUnavailable: a server went away.
    """
    ledger = Ledger()
    total = source.total()
    sink.prepare(source.collections)
    with progress.stage("documents", total) as advance:

        def changed() -> Iterator[Document]:
            held = {name: sink.holds(name) for name in source.collections}
            for found in source.read():
                if isinstance(found, Dropped):
                    ledger.drop(found)
                elif (document := ledger.take(found)) is not None:
                    state = held.get(document.collection, {}).get(document.key)
                    if not state or state.digest != work.digest(document, model_sha256, recipe.most_chunks):
                        yield document
                        continue
                    ledger.keep(document, state)
                advance(1)

        for done in engine(recipe, work.units(changed())):
            sink.add(done)
            for cut in done.cuts:
                ledger.write(cut.collection, cut.key, cut.state)
            advance(len(done.cuts))
    sink.finish(ledger)
    _say(ledger)
    if wrong := [*source.missed(), *ledger.wrong()]:
        raise StartupError(f"the counts don't add up: {'; '.join(wrong)}; run it again")
    return ledger


def _into_qdrant(options: argparse.Namespace) -> dict[str, object]:
    told = settings.load(fetch, **settings.NOT_A_SERVER | _source_settings(options), vector_store="qdrant")
    address = Address(str(told.qdrant_url), told.qdrant_api_key, options.patience)
    with ExitStack() as stack:
        source = _source(options, told, stack)
        recipe = _recipe(told, _threads(options), source, address)
        sha256 = _sha256(told)
        sink = stack.enter_context(
            sinks.QdrantSink.opened(address, dimension=DIMENSION, model_sha256=sha256, empty_ok=options.empty_ok)
        )
        engine = engines.engine(options.engine, options.workers, options.ray_address)
        ledger = run(source, sink, engine, recipe, sha256)
    return {"source": source.name, "embeddingModel": MODEL_ID, "collections": ledger.report()}


def _into_bundle(options: argparse.Namespace) -> Manifest:
    told = settings.load(
        fetch, **settings.NOT_A_SERVER | _source_settings(options), vector_store="faiss", bundle_dir=options.out
    )
    with ExitStack() as stack:
        source = _source(options, told, stack)
        engine = engines.engine(options.engine, options.workers, options.ray_address)
        recipe = _recipe(told, _threads(options), source)
        return _bundle(source, options.out, options.index, options.min_recall, recipe, engine)


def _bundle(
    source: Source, out: Path, kind: IndexType, min_recall: float, recipe: Recipe, engine: engines.Engine
) -> Manifest:
    sha256 = packaged.sha256_of(recipe.model) if recipe.model else packaged.MINILM_ONNX_INT8.sha256
    wanted = bundle_writer.Recipe(kind, min_recall, MODEL_ID, sha256, DIMENSION, source.name)
    with sinks.BundleSink.opened(out, wanted) as sink:
        run(source, sink, engine, recipe, sha256)
        if sink.manifest is None:
            raise StartupError("no bundle was made; run it again")
        return sink.manifest


def _source(options: argparse.Namespace, told: Settings, stack: ExitStack) -> Source:
    source = _plain_source(options, told, stack)
    if options.desk is None:
        return source
    return summaries.Summarised(source, desk.Desk.of(options, told))


def _plain_source(options: argparse.Namespace, told: Settings, stack: ExitStack) -> Source:
    if options.mongo:
        from service.adapters.mongo_corpus import MongoCorpus  # noqa: PLC0415 - only where it is asked for

        if told.mongo_url is None:
            raise StartupError("DATABASE_HOST is required by --mongo")
        mongo = MongoCorpus.open(told.mongo_url, database=told.mongo_database)
        stack.callback(mongo.close)
        return sources.Mongo(mongo, told.collections)
    return sources.Folder(options.path) if options.path else sources.Demo()


def _source_settings(options: argparse.Namespace) -> dict[str, object]:
    mongo: dict[str, object] = {"documents": "mongo"} if options.mongo else {}
    return mongo | ({"query_model": "openai"} if options.desk else {})


def _recipe(told: Settings, threads: int, source: Source, qdrant: Address | None = None) -> Recipe:
    if told.embedder != "onnx":
        raise StartupError(f"RAG_EMBEDDER={told.embedder}: an index is made with onnx, the model that the edge has too")
    return Recipe(threads, told.embedding_model_path, told.tokenizer_path, source.most_chunks, qdrant)


def _sha256(told: Settings) -> str:
    model = told.embedding_model_path
    if model is None:
        return packaged.MINILM_ONNX_INT8.sha256
    try:
        return packaged.sha256_of(model)
    except OSError as exc:
        raise StartupError(f"RAG_EMBEDDING_MODEL_PATH: {model}: {exc.strerror}") from exc


def _threads(options: argparse.Namespace) -> int:
    threads: int = options.threads or max(1, (os.cpu_count() or 1) // options.workers)
    return threads


def _say(ledger: Ledger) -> None:
    for name, counts in ledger.report().items():
        dropped = counts["dropped"]
        reasons = f" ({', '.join(f'{count} {why}' for why, count in dropped.items())})" if dropped else ""  # type: ignore[attr-defined]
        sys.stderr.write(
            f"{name}: {counts['read']} read{reasons}, {counts['documents']} documents, {counts['chunks']} chunks: "
            f"{counts['written']} written, {counts['unchanged']} unchanged, {counts['removed']} removed, "
            f"{counts['held']} in the index\n"
        )
    if unusual := {name for name in ledger.wanted if name not in corpus.COLLECTIONS}:
        sys.stderr.write(f"not searched unless retrieval.collections names them: {', '.join(sorted(unusual))}\n")


def _ended(line: str, code: int) -> int:
    sys.stderr.write(f"ingest: {line}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.jobs.ingest", description="Bring an index up to date")
    parser.add_argument("path", nargs="?", type=Path, help="folder of .md, .html, .txt, .jsonl; default: demo corpus")
    parser.add_argument("--mongo", action="store_true", help="read RAG_COLLECTIONS of MongoDB at DATABASE_HOST instead")
    sink = parser.add_mutually_exclusive_group(required=True)
    sink.add_argument("--qdrant", action="store_true", help="into the Qdrant at QDRANT_CLOUD_URL")
    sink.add_argument("--out", type=Path, help="bundle home; its link `current` is replaced at the end")
    parser.add_argument("--index", choices=get_args(IndexType), default="sq8", help="of a bundle")
    parser.add_argument("--min-recall", type=float, default=0.0, help="refuse an index below this recall@10")
    parser.add_argument("--empty-ok", action="store_true", help="let a collection be emptied whose source is empty")
    parser.add_argument("--workers", type=_positive, default=1, help="processes that embed")
    parser.add_argument("--threads", type=_positive, default=None, help="of each; default: the cores between them")
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes")
    parser.add_argument("--ray-address", default=None, help="of a Ray cluster; default: one inside this process")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_S, metavar="S", help="how long a Qdrant that is away is waited for"
    )
    desk.arguments(parser, name="--summaries", does="add a model's summary of each long document; kept in DIR")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
