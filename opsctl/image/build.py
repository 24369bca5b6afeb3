"""From the checkout to a local image: pin what it is made from, build it, list what is in it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from opsctl.errors import ToolMissing
from opsctl.image.pins import PinnedImage, PinnedReranker, pin_image, pin_reranker
from opsctl.image.tool import builder, run
from opsctl.image.tree import revision
from opsctl.output import working

if TYPE_CHECKING:
    from rich.console import Console

    from opsctl.image.tool import ContainerTool
    from opsctl.project import Project
    from opsctl.settings import Settings

REVISION = "org.opencontainers.image.revision"
SBOM_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the operator asked for.

    Attributes:
        tag: name of the image.
        platform: linux/amd64 or linux/arm64; None is this machine's.
        base, adapter: names, or names with digests.
        reranker: hub id, or none.
        ca_bundle: certificates that the build trusts beside the system's.
        offline: ask no registry.
        archive: write the zip archive there, and no image.
        sbom: write the list of components there.
    """

    tag: str
    platform: str | None
    base: str
    adapter: str
    reranker: str
    reranker_file: str
    reranker_sha256: str | None
    ca_bundle: Path | None
    offline: bool
    archive: Path | None
    sbom: Path | None


@dataclass(frozen=True, slots=True)
class Built:
    """What was built, and from what."""

    what: str
    base: PinnedImage
    adapter: PinnedImage
    reranker: PinnedReranker | None
    revision: str
    sbom: Path | None


def build(project: Project, wanted: Wanted, settings: Settings, talk: Console) -> Built:
    """Build the image, or the zip archive.

    Raises:
        ToolMissing, NotUsable, CheckFailed, CloudRefused, TimedOut
    """
    tool = builder(settings.environ)
    syft = _syft(project, settings) if wanted.sbom else None
    with working(talk, f"pinning {wanted.base} and what else goes in ..."):
        base = pin_image(wanted.base, tool, offline=wanted.offline)
        adapter = pin_image(wanted.adapter, tool, offline=wanted.offline)
        reranker = pin_reranker(wanted.reranker, wanted.reranker_file, wanted.reranker_sha256, settings.hub)
    made = Built(wanted.tag, base, adapter, reranker, revision(project), wanted.sbom)
    options = _options(made, wanted, settings)
    file, pulls = project.root / "service/Dockerfile", not wanted.offline
    if wanted.archive:
        with TemporaryDirectory() as folder:
            exported = ["--target", "zip", "--output", f"type=local,dest={folder}"]
            tool.build(file, project.root, [*options, *exported], pulls=pulls)
            wanted.archive.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder, "lambda.zip"), wanted.archive)
        return replace(made, what=str(wanted.archive), sbom=None)
    tool.build(file, project.root, [*options, "--tag", wanted.tag], pulls=pulls)
    if wanted.sbom and syft:
        with working(talk, f"listing what is in {wanted.tag} ..."):
            _list_components(syft, tool, wanted.tag, wanted.sbom)
    return made


def _options(made: Built, wanted: Wanted, settings: Settings) -> list[str]:
    given = {
        "BASE": made.base.reference,
        "ADAPTER": made.adapter.reference,
        "HF_ENDPOINT": settings.hub.url,
    }
    # Not by the Dockerfile from arguments: buildah 1.28 takes such a line from its cache, whatever they say now.
    labels = {
        REVISION: made.revision,
        "org.opencontainers.image.base.name": made.base.name,
        "org.opencontainers.image.base.digest": made.base.digest or "",
        "rag-platform.adapter": made.adapter.reference,
    }
    if made.reranker:
        labels |= {
            "rag-platform.reranker": f"{made.reranker.model}@{made.reranker.revision}",
            "rag-platform.reranker.sha256": made.reranker.sha256,
        }
        given |= {
            "RERANKER": made.reranker.model,
            "RERANKER_REVISION": made.reranker.revision,
            "RERANKER_FILE": made.reranker.file,
            "RERANKER_SHA256": made.reranker.sha256,
        }
    options = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    options += [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    options += ["--platform", wanted.platform] if wanted.platform else []
    return options + (["--secret", f"id=ca,src={wanted.ca_bundle}"] if wanted.ca_bundle else [])


def _syft(project: Project, settings: Settings) -> str:
    where = f"{project.tools.parent / 'image' / 'bin'}:{settings.environ.get('PATH', '')}"
    found = shutil.which("syft", path=where)
    if found is None:
        raise ToolMissing("there is no syft to list the components with", next_step="`make image-tools`, or --no-sbom")
    return found


def _list_components(syft: str, tool: ContainerTool, image: str, target: Path) -> None:
    """As CycloneDX JSON, of the distribution's packages and of Python's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        tool.save(image, archive)
        quiet = {**tool.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        command = [syft, "scan", f"docker-archive:{archive}", "--quiet", "--source-name", image]
        run([*command, "--output", f"cyclonedx-json={target}"], quiet, limit_s=SBOM_LIMIT_S)
