"""What a build is made from, each pinned before it starts: images by digest, the reranker by commit and SHA-256."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.errors import CloudRefused, NotUsable
from opsctl.image.tool import run
from opsctl.model.hub import translated

if TYPE_CHECKING:
    from opsctl.image.tool import ContainerTool
    from opsctl.settings import Hub

BASE = "docker.io/library/python:3.12-slim"
ADAPTER = "public.ecr.aws/awsguru/aws-lambda-adapter:1.1.0"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HUB_ID = re.compile(r"(?P<model>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class PinnedImage:
    """An image that a build starts from; no digest where no registry was asked."""

    name: str
    digest: str | None

    @property
    def reference(self) -> str:
        """What the build is told: a tag beside a digest is refused by some tools."""
        return f"{repository(self.name)}@{self.digest}" if self.digest else self.name


@dataclass(frozen=True, slots=True)
class PinnedReranker:
    """A cross-encoder of the model hub; `file` is its ONNX export."""

    model: str
    revision: str
    file: str
    sha256: str


def pin_image(name: str, tool: ContainerTool, *, offline: bool) -> PinnedImage:
    """The digest that `name` stands for now, from its registry.

    Raises:
        NotUsable: what follows the @ is no digest.
        CloudRefused, TimedOut: the registry does not say.
    """
    given, at, digest = name.partition("@")
    if at:
        if not DIGEST.fullmatch(digest):
            raise NotUsable(f"{name}: '{digest}' is no digest", next_step="write sha256: and 64 hex digits")
        return PinnedImage(given, digest)
    if offline:
        return PinnedImage(name, None)
    try:
        return PinnedImage(name, _digest(name, tool))
    except CloudRefused as exc:
        raise CloudRefused(
            f"the digest of {name} can't be read: {exc.problem}",
            next_step="give it as NAME@sha256:..., or --offline to build on what this machine has under that name",
        ) from exc


def _digest(name: str, tool: ContainerTool) -> str:
    """Of all platforms together where the tool can say that, else of this machine's."""
    skopeo = shutil.which("skopeo", path=tool.environ.get("PATH", ""))
    if skopeo:
        raw = run([skopeo, "inspect", "--raw", f"docker://{name}"], tool.environ).stdout
        return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"
    return tool.raw_manifest_digest(name) if tool.name == "docker" else tool.pull(name)


def repository(name: str) -> str:
    """A reference without its tag; a port is no tag."""
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def pin_reranker(given: str, file: str, sha256: str | None, hub: Hub) -> PinnedReranker | None:
    """The commit and the checksum that a hub id stands for now; None for `none`.

    Args:
        given: OWNER/NAME, OWNER/NAME@REVISION, or none.
        file: which export of it.
        sha256: what it must have, where the operator knows better than the hub.
        hub: where it is.

    Raises:
        NotUsable: no hub id, no such model or file, or another content than was given.
        ToolMissing, CloudRefused, TimedOut
    """
    if given == "none":
        return None
    words = HUB_ID.fullmatch(given)
    if words is None:
        raise NotUsable(
            f"reranker '{given}' is no hub id",
            next_step="give --reranker OWNER/NAME[@REVISION], or none to build without",
        )
    model, revision = words["model"], words["revision"]
    if sha256 and revision and COMMIT.fullmatch(revision):
        return PinnedReranker(model, revision, file, sha256)  # nothing is left to ask
    with translated(model, hub):
        from huggingface_hub import HfApi  # noqa: PLC0415 - only a build with a reranker pays for it

        api = HfApi(endpoint=hub.url, token=hub.token or False)
        info = api.model_info(model, revision=revision, files_metadata=True, timeout=LIMIT_S)
    found = {each.rfilename: each for each in info.siblings or []}
    if missing := [name for name in (file, "tokenizer.json") if name not in found]:
        raise NotUsable(
            f"{model} has no {', '.join(missing)}",
            next_step="name another export with --reranker-file, or another model with --reranker",
        )
    lfs = found[file].lfs
    announced = str(lfs.sha256) if lfs else None
    if sha256 and announced and sha256 != announced:
        raise NotUsable(
            f"{file} of {model}@{info.sha} has sha256 {announced}, not {sha256}",
            next_step="pin the commit that you checked: --reranker OWNER/NAME@COMMIT",
        )
    if not (pinned := sha256 or announced):
        raise NotUsable(f"the hub announces no checksum of {file}", next_step="give it with --reranker-sha256")
    return PinnedReranker(model, str(info.sha), file, pinned)
