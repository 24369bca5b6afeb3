"""What is in the image, and what is not."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import COMMIT
from tests.image import caches
from tests.image.conftest import CA_BUNDLE, RERANKER, TAG, Built, Registry
from tests.image.container import Image, mounted

LAYERS_MB = 550
CA = "etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def base() -> Iterator[Image]:
    with mounted(caches.BASE) as image:
        yield image


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def size_mb(image: str) -> float:
    listed = json.loads(caches.buildah("images", "--json", image).stdout)[0]["size"]
    number, unit = listed.split()
    return float(number) * {"KB": 0.001, "MB": 1, "GB": 1000}[unit]


def test_the_base_is_pinned_by_the_digest_that_its_registry_gave(built: Built, registry: Registry) -> None:
    name = built.document["base"]["name"]
    raw = registry.run("skopeo", "inspect", "--raw", f"docker://{name}")
    digest = "sha256:" + hashlib.sha256(raw.encode()).hexdigest()
    assert built.document["base"]["digest"] == digest
    assert built.image.labels["org.opencontainers.image.base.name"] == name
    assert built.image.labels["org.opencontainers.image.base.digest"] == digest


def test_the_reranker_is_pinned_by_commit_and_checksum(built: Built) -> None:
    pinned = built.document["reranker"]
    assert (pinned["model"], pinned["revision"]) == (RERANKER, COMMIT)
    assert built.image.labels["rag-platform.reranker"] == f"{RERANKER}@{COMMIT}"
    assert built.image.labels["rag-platform.reranker.sha256"] == pinned["sha256"]
    assert pinned["sha256"] == sha256(built.reranker / "model.onnx")


def test_models_are_the_ones_that_their_checksums_say(image: Image) -> None:
    for name in ("embedder", "reranker"):
        folder = image.root / "opt/models" / name
        done = subprocess.run(["sha256sum", "--check", "--quiet", f"{name}.sha256"], cwd=folder, check=False)
        assert done.returncode == 0


def test_our_layers_are_small_enough(image: Image) -> None:
    assert size_mb(TAG) - size_mb(caches.BASE) <= LAYERS_MB


def test_nothing_that_builds_or_installs_is_left(image: Image) -> None:
    unwanted = ("gcc", "cc", "c++", "make", "pip", "pip3", "uv", "poetry", "chromium", "chrome", "git", "curl", "wget")
    folders = [image.root / name.lstrip("/") for name in image.env["PATH"].split(":")]
    assert [name for name in unwanted for folder in folders if (folder / name).exists()] == []
    packages = [*image.root.glob("usr/local/lib/python3*/site-packages/*"), *image.root.glob("opt/rag/lib/*/*/pip*")]
    assert [path.name for path in packages if path.name != "README.txt"] == []


def test_what_the_build_was_lent_is_not_in_it(image: Image, base: Image) -> None:
    """The certificates, and pip's and uv's ways to the index."""
    assert sha256(image.root / CA) == sha256(base.root / CA)
    assert not (image.root / "run/secrets").exists()
    assert [path for name in ("etc", "root", "opt", "app") for path in (image.root / name).rglob("pip.conf")] == []
    lent = CA_BUNDLE.read_bytes()
    small = (path for path in (image.root / "etc").rglob("*") if path.is_file() and not path.is_symlink())
    assert [path for path in small if path.stat().st_size == len(lent) and path.read_bytes() == lent] in (
        [],
        [image.root / CA],
    )


def test_the_user_owns_nothing_and_may_read_all(image: Image) -> None:
    ours = [path for name in ("app", "opt") for path in (image.root / name).rglob("*") if not path.is_symlink()]
    assert [path for path in ours if path.stat().st_uid != 0] == []
    assert [path for path in ours if not path.stat().st_mode & 0o004] == []
    assert (image.root / "opt/extensions/lambda-adapter").stat().st_mode & 0o005 == 0o005
    assert (image.config["User"], image.config["Volumes"]) == ("10001:10001", {"/tmp": {}})  # noqa: S108


def test_the_components_are_listed(built: Built) -> None:
    listed = json.loads(built.sbom.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    found = {(component["name"], component.get("version")) for component in listed["components"]}
    lock = (Path("requirements") / "service.txt").read_text()
    for name in ("fastapi", "onnxruntime", "qdrant-client"):
        version = next(line for line in lock.splitlines() if line.startswith(f"{name}==")).split("==")[1].split()[0]
        assert (name, version) in found
    assert any(name in {"libc6", "libssl3"} for name, _ in found)
