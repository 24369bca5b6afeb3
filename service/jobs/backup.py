"""Self-hosted data stores -> a bucket, and back.

    python -m service.jobs.backup save mongo --to s3://BUCKET/PREFIX [--metrics NAMESPACE]
    python -m service.jobs.backup save qdrant --to s3://BUCKET/PREFIX [--node URL ...]
    python -m service.jobs.backup restore mongo --from s3://BUCKET/PREFIX/mongo/STAMP --replace
    python -m service.jobs.backup restore qdrant --from s3://BUCKET/PREFIX/qdrant/STAMP --replace [--node URL ...]

MongoDB's files are those of mongodump (`mongorestore --gzip` reads them), Qdrant's are its own snapshots, one for each
node and collection. A backup is a folder named for when it was made, its list of files written last; a folder without
one is unfinished. Addresses and credentials come from the environment, as the service's do. Progress goes to stderr,
the list to stdout; with --metrics, a finished backup is counted there as a line of CloudWatch's format. Exit code 1 and
one line where it can't be done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from service import settings
from service.adapters.mongo_dump import MongoDump, cut
from service.adapters.qdrant_snapshots import QdrantSnapshots
from service.errors import RagError, StartupError
from service.jobs.backup_folder import (
    LIST,
    Contents,
    Digest,
    Entry,
    Folder,
    checked,
    contents,
    opened,
    packed,
    unpacked,
)
from service.telemetry.emf import count_line
from service.vault import fetch

if TYPE_CHECKING:
    from service.settings import Settings

STAMP = "%Y%m%dT%H%M%SZ"
DATA, DESCRIPTION = ".bson.gz", ".metadata.json.gz"


def main(argv: Sequence[str] | None = None) -> int:
    """Save or restore one store; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        done = (save if options.what == "save" else restore)(options)
    except (RagError, OSError, ValueError) as exc:
        said = exc.detail if isinstance(exc, RagError) else str(exc)
        sys.stderr.write(f"backup: {said}\n")
        return 1
    sys.stdout.write(done.model_dump_json(indent=2) + "\n")
    return 0


def save(options: argparse.Namespace) -> Contents:
    """A new backup of a store; what was there before stays.

    Raises:
        RagError: the store can't be read, or nothing is in it.
        OSError: the backup can't be written.
    """
    now = datetime.now(UTC)
    place = f"{options.to.rstrip('/')}/{options.store}/{now.strftime(STAMP)}"
    folder = opened(place)
    source, written = (_save_mongo if options.store == "mongo" else _save_qdrant)(folder, options.node)
    files = []
    for entry in written:
        sys.stderr.write(f"saved {entry.name}\n")
        files.append(entry)
    if not files:
        raise StartupError(f"nothing to save: {source} is empty")
    made = Contents(store=options.store, source=source, created=now.isoformat(timespec="seconds"), files=files)
    folder.write(LIST, [made.model_dump_json(indent=2).encode()])
    sys.stderr.write(f"backup: {len(files)} files at {place}\n")
    if options.metrics is not None:
        sys.stderr.write(count_line(options.metrics, {"Store": options.store}, {"backups": 1}) + "\n")
    return made


def restore(options: argparse.Namespace) -> Contents:
    """Put what a backup holds in the place of what the store has.

    Raises:
        RagError: no such backup, a damaged one, or the store doesn't take it.
        OSError: the backup can't be read.
    """
    if not options.replace:
        raise StartupError("a restore replaces collections that are there; say --replace if that is meant")
    folder = opened(options.source)
    found = contents(folder, options.source)
    if found.store != options.store:
        raise StartupError(f"{options.source} is a backup of {found.store}, not of {options.store}")
    (_restore_mongo if options.store == "mongo" else _restore_qdrant)(folder, found, options.node)
    return found


def _save_mongo(folder: Folder, _: Sequence[str]) -> tuple[str, Iterator[Entry]]:
    dump = _mongo()

    def write() -> Iterator[Entry]:
        with closing(dump):
            for name in dump.collections():
                counted = _Count()
                described = [dump.metadata(name).encode()]
                yield _put(folder, f"{dump.name}/{name}{DESCRIPTION}", packed(described), None)
                yield _put(folder, f"{dump.name}/{name}{DATA}", packed(counted.of(dump.documents(name))), counted)

    return f"MongoDB database {dump.name}", write()


def _restore_mongo(folder: Folder, found: Contents, _: Sequence[str]) -> None:
    files = {entry.name: entry for entry in found.files}
    for entry in found.files:  # read through once: a damaged file is no reason to drop what is there
        for _block in checked(folder, entry):
            pass
    with closing(_mongo()) as dump:
        for name, entry in files.items():
            if not name.endswith(DATA):
                continue
            collection = name.rpartition("/")[2].removesuffix(DATA)
            described = files[f"{name.removesuffix(DATA)}{DESCRIPTION}"]
            metadata = b"".join(unpacked(checked(folder, described))).decode()
            count = dump.replace(collection, metadata, cut(unpacked(checked(folder, entry))))
            if count != entry.count:
                raise StartupError(f"{name} holds {count} documents, {entry.count} were saved")
            sys.stderr.write(f"restored {dump.name}.{collection}: {count} documents\n")


def _save_qdrant(folder: Folder, urls: Sequence[str]) -> tuple[str, Iterator[Entry]]:
    told = _qdrant()
    nodes = _nodes(told, urls)

    def write() -> Iterator[Entry]:
        with ExitStack() as stack:
            opened_nodes = [
                stack.enter_context(closing(QdrantSnapshots.open(url, told.qdrant_api_key))) for url in nodes
            ]
            for number, node in enumerate(opened_nodes):
                for name in node.collections():
                    with node.snapshot(name) as blocks:
                        yield _put(folder, f"{number}/{name}.snapshot", blocks, None)

    return f"Qdrant, {len(nodes)} nodes", write()


def _restore_qdrant(folder: Folder, found: Contents, urls: Sequence[str]) -> None:
    told = _qdrant()
    nodes = _nodes(told, urls)
    saved = {int(entry.name.partition("/")[0]) for entry in found.files}
    if saved != set(range(len(nodes))):
        raise StartupError(f"the backup is of {len(saved)} nodes, {len(nodes)} are named; name as many with --node")
    for entry in found.files:
        number, _, name = entry.name.partition("/")
        with closing(QdrantSnapshots.open(nodes[int(number)], told.qdrant_api_key)) as node:
            node.recover(name.removesuffix(".snapshot"), checked(folder, entry))
        sys.stderr.write(f"restored {entry.name}\n")


def _put(folder: Folder, name: str, blocks: Iterator[bytes], counted: _Count | None) -> Entry:
    digest = Digest(blocks)
    folder.write(name, digest)
    return Entry(name=name, sha256=digest.sha256, count=counted.number if counted else None)


class _Count:
    """How many went by."""

    def __init__(self) -> None:
        self.number = 0

    def of(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.number += 1
            yield block


def _mongo() -> MongoDump:
    none = {"vector_store": "faiss", "bundle_dir": Path()}
    told = settings.load(fetch, **settings.NOT_A_SERVER | none | {"documents": "mongo"})
    if told.mongo_url is None:  # `load` asks for it
        raise StartupError("DATABASE_HOST is missing")
    return MongoDump.open(told.mongo_url, database=told.mongo_database)


def _qdrant() -> Settings:
    return settings.load(fetch, **settings.NOT_A_SERVER, vector_store="qdrant")


def _nodes(told: Settings, urls: Sequence[str]) -> list[str]:
    return list(urls) or [str(told.qdrant_url)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.jobs.backup", description="Save and restore data stores")
    commands = parser.add_subparsers(dest="what", required=True)
    for what, option, target in (("save", "--to", "to"), ("restore", "--from", "source")):
        command = commands.add_parser(what)
        command.add_argument("store", choices=("mongo", "qdrant"))
        command.add_argument(option, dest=target, required=True, help="s3://BUCKET/PREFIX, or a folder")
        command.add_argument(
            "--node", action="append", default=[], help="of a Qdrant cluster; default QDRANT_CLOUD_URL"
        )
        if what == "save":
            command.add_argument("--metrics", metavar="NAMESPACE", help="count it in this namespace of CloudWatch")
        if what == "restore":
            command.add_argument("--replace", action="store_true", help="drop what the store has of each collection")
    return parser


if __name__ == "__main__":
    sys.exit(main())
