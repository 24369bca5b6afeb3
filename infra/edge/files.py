"""EdgeFiles: small private files on an edge host: how it gets its role, and what it is told in confidence.

Readable by the service's login alone. In the state they are encrypted, and they are in no argument and no environment.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any, TypedDict

import pulumi
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.edge.errors import EdgeError, report_in_one_line
from infra.edge.hosts.address import parse
from infra.edge.hosts.transport import Transport, transport_to
from infra.edge.layout import project_root

if TYPE_CHECKING:
    from collections.abc import Mapping

# Whole or not at all, and never readable by others, not even for a moment.
WRITE = 'set -e; umask 077; mkdir -p -- "$1"; cat > "$1/.new-$2"; mv -f -- "$1/.new-$2" "$1/$2"'
LIST = 'cd -- "$1" 2>/dev/null && for f in *; do [ -f "$f" ] && stat -c %a -- "$f" && sha256sum -- "$f"; done; true'
REMOVE = 'cd -- "$1" 2>/dev/null || exit 0; shift; rm -f -- "$@"'
REMOVE_FOLDER = 'rm -rf -- "$1"; rmdir -- "$(dirname -- "$1")" 2>/dev/null; true'
PRIVATE = "600"


class FilesArgs(TypedDict):
    """Inputs of EdgeFiles.

    host: of `hybrid.edge.hosts`.
    folder: below the project's folder here, below the login's home on a host behind SSH.
    files: name -> content; a secret as a whole.
    """

    host: str
    folder: str
    files: pulumi.Input[Mapping[str, str]]


class EdgeFilesProvider(ResourceProvider):
    """Writes, compares and removes the files.

    Args:
        root: as of EdgeBundleProvider.
    """

    serialize_as_secret_always = False

    def __init__(self, root: str | None = None) -> None:
        super().__init__()
        self.root = root

    def configure(self, req: ConfigureRequest) -> None:
        """Once per process."""
        del req
        report_in_one_line()

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other files, or such that somebody changed, opened or removed."""
        moved = [name for name in ("host", "folder") if olds.get(name) != news.get(name)]
        changed = olds.get("files") != news.get("files")
        if not changed and not moved and (lost := self._lost(olds)):
            sys.stderr.write(f"edge host {olds['host']}: {lost}; `pulumi up` writes it\n")
            changed = True
        return DiffResult(changes=changed or bool(moved), replaces=moved, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Write all of them."""
        self._write(props)
        return CreateResult(f"{props['host']}/{props['folder']}", {**props, "state": "written"})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report what is not as it was written."""
        return ReadResult(id_, {**props, "state": self._lost(props) or "written"})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Write all of them, then remove what is no longer wanted."""
        self._write(news)
        if gone := [name for name in olds["files"] if name not in news["files"]]:
            self._run(news, REMOVE, *gone)
        return UpdateResult({**news, "state": "written"})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the folder, and the stack's once it is empty."""
        self._run(props, REMOVE_FOLDER)

    def _write(self, props: dict[str, Any]) -> None:
        for name, content in props["files"].items():
            self._run(props, WRITE, name, stdin=content.encode())

    def _lost(self, props: dict[str, Any]) -> str | None:
        words = self._run(props, LIST).split()  # mode, digest, name; mode, digest, name; ...
        found = {name: (mode, digest) for mode, digest, name in zip(words[::3], words[1::3], words[2::3], strict=True)}
        for name, content in props["files"].items():
            if name not in found:
                return f"{name} is gone"
            mode, digest = found[name]
            if mode != PRIVATE:
                return f"{name} is open to others"
            if digest != hashlib.sha256(content.encode()).hexdigest():
                return f"{name} was changed"
        return None

    def _run(self, props: dict[str, Any], script: str, *words: str, stdin: bytes = b"") -> str:
        address = parse(props["host"])
        transport: Transport = transport_to(address)
        folder = props["folder"] if address else f"{self.root or project_root()}/{props['folder']}"
        done = transport.run(["sh", "-c", script, "edge-files", folder, *words], stdin=stdin)
        if done.code:
            raise EdgeError(f"edge host {transport.host}: {folder}: {done.last_words}")
        return done.stdout.decode()


class EdgeFiles(Resource, module="edge", name="EdgeFiles"):
    """The files on one host; `state` is `written`, or what a refresh found instead."""

    state: pulumi.Output[str]

    def __init__(self, name: str, args: FilesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["files"])
        inputs = {"state": None, **args, "files": pulumi.Output.secret(args["files"])}
        super().__init__(EdgeFilesProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, hidden))
