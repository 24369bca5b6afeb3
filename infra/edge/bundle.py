"""EdgeBundle: the index and the texts that an edge answers from, built on the machine and verified at every run.

Each EdgeBundle has a folder of its own, so that a replacement is built beside the one that still serves; that one goes
only after the service has moved on.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from infra.edge.errors import EdgeError, report_in_one_line
from infra.edge.jobs import Jobs
from infra.edge.layout import interpreter, project_root, remove_if_empty

if TYPE_CHECKING:
    import pulumi

BUILD_LIMIT_S = 6 * 3600.0  # two cores embed about 100 chunks a second: 2 million chunks
VERIFY_LIMIT_S = 300.0
INDEX_FILE = "index.faiss"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class BundleInputs(_Record):
    """What a bundle is made of. A field that is added needs a default: it also reads older states."""

    home: str
    index: str
    source: str | None = None
    source_digest: str | None = None
    min_recall: float = Field(0, ge=0, le=1)
    synced: bool = False


class _Manifest(_Record):
    """The part of `manifest.json` that the stack reports."""

    embedding_model: str
    dimension: int
    count: int
    recall_at_10: float
    files: dict[str, str]


class BundleArgs(TypedDict):
    """Inputs of EdgeBundle.

    home: the stack's edge folder, relative to the project root.
    source: a folder of documents; None is the demo corpus.
    index: the FAISS index type.
    minRecall: recall@10 against exact search below which the bundle is refused.
    synced: newer bundles come from a bucket, into the same folder: this one is the first.
    """

    home: str
    source: str | None
    index: str
    minRecall: float
    synced: bool


class EdgeBundleProvider(ResourceProvider):
    """Builds, verifies and deletes bundle folders.

    Args:
        root: the folder that relative paths start from and jobs run in; None is the checkout of this code, so that no
            path of the machine gets into the state.
    """

    serialize_as_secret_always = False

    def __init__(self, root: str | None = None) -> None:
        super().__init__()
        self.root = root

    def configure(self, req: ConfigureRequest) -> None:
        """Once per process."""
        del req
        report_in_one_line()

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the digest of the documents, so that changed documents are a changed input."""
        source = news.get("source")
        if source is None:
            return CheckResult(news, [])
        path = self._root() / source
        if not path.is_dir():
            line = (
                f"hybrid.edge.source = {source}: no such folder; `pulumi config set --path hybrid.edge.source FOLDER`"
            )
            return CheckResult(news, [CheckFailure("", line)])
        return CheckResult({**news, "sourceDigest": digest(path)}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other documents, index or demands make a new bundle, and so does one that is gone or corrupt."""
        changed = [name for name in ("source", "sourceDigest", "index", "home") if olds.get(name) != news.get(name)]
        if BundleInputs.model_validate(news).min_recall > olds["recall"]:
            changed.append("minRecall")
        synced = bool(news.get("synced"))
        if not changed and (trouble := self._trouble({**olds, "synced": synced})):
            sys.stderr.write(f"{trouble}; `pulumi up` builds it\n")
            changed.append("sha256")
        other = olds.get("minRecall") != news.get("minRecall") or bool(olds.get("synced")) != synced
        return DiffResult(changes=bool(changed) or other, replaces=changed)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Build into a new folder; a failure leaves none behind."""
        inputs = BundleInputs.model_validate(props)
        token = secrets.token_hex(4)
        path = f"{inputs.home}/bundle-{token}"
        options = ["--out", path, "--index", inputs.index, "--min-recall", f"{inputs.min_recall:g}"]
        documents = [inputs.source] if inputs.source else []
        try:
            built = self._jobs().follow("ingest", *documents, *options, limit_s=BUILD_LIMIT_S)
            outputs = _outputs(_Manifest.model_validate_json(built), path)
        except BaseException:
            self._remove(path)
            raise
        return CreateResult(f"bundle-{token}", props | outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report a bundle that is gone or corrupt as one without checksum; the next `up` replaces it."""
        return ReadResult(id_, {**props, "sha256": ""} if self._trouble(props) else props)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """The bundle meets the new demands as it is."""
        return UpdateResult({**olds, **news})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the folder, and the stack's edge folder once it is empty."""
        self._remove(props["path"])

    def _trouble(self, props: dict[str, Any]) -> str | None:
        try:
            manifest = self._verified(props["path"])
        except EdgeError as exc:
            return str(exc)
        same = props.get("synced") or manifest.files.get(INDEX_FILE) == props.get("sha256")
        return None if same else f"{props['path']} is not the bundle that this stack built"

    def _verified(self, path: str) -> _Manifest:
        return _Manifest.model_validate_json(self._jobs().ask("verify_bundle", path, limit_s=VERIFY_LIMIT_S))

    def _remove(self, path: str) -> None:
        folder = self._root() / path
        shutil.rmtree(folder, ignore_errors=True)
        remove_if_empty(folder.parent)

    def _jobs(self) -> Jobs:
        return Jobs(self._root(), interpreter())

    def _root(self) -> Path:
        return Path(self.root) if self.root else project_root()


class EdgeBundle(Resource, module="edge", name="EdgeBundle"):
    """A bundle on this host.

    Attributes:
        path: its folder, relative to the project root.
        sha256: of the index.
        count: chunks in it.
        dimension: of their vectors.
        model: id of the embedding model.
        recall: recall@10 of the index against exact search, measured when it was built.
    """

    path: pulumi.Output[str]
    sha256: pulumi.Output[str]
    count: pulumi.Output[int]
    dimension: pulumi.Output[int]
    model: pulumi.Output[str]
    recall: pulumi.Output[float]

    def __init__(self, name: str, args: BundleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(("path", "sha256", "count", "dimension", "model", "recall"))
        super().__init__(EdgeBundleProvider(), name, {**outputs, **args}, opts)


def digest(source: Path) -> str:
    """sha256 over the names and contents of all files in the folder `source`."""
    total = hashlib.sha256()
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        with file.open("rb") as content:
            total.update(f"{file.relative_to(source)}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _outputs(manifest: _Manifest, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "sha256": manifest.files[INDEX_FILE],
        "count": manifest.count,
        "dimension": manifest.dimension,
        "model": manifest.embedding_model,
        "recall": manifest.recall_at_10,
    }
