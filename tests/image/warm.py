"""Fills the caches of the image tests: a stand-in for the base image, and the Lambda Web Adapter from its crate.

    python -m tests.image.warm

Neither a registry of images nor GitHub has to be reachable. The stand-in is Debian by debootstrap with a Python of this
machine under /usr/local, as in `python:3.12-slim`, under whose name it is kept: the Dockerfile's FROM is what it is for
a user. It proves the Dockerfile's steps, users, paths and entry points; it says nothing about the real base's size,
patch level or CVEs. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.image import caches

PACKAGES = ("debootstrap", "buildah", "skopeo", "runc", "docker-registry")
SUITE = "bookworm"
# What a Python of pyenv is linked to; CA certificates as in the real base.
LIBRARIES = (
    "ca-certificates,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,"
    "libstdc++6,libuuid1,zlib1g"
)
NOT_IN_AN_IMAGE = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
)
KEPT_LAYERS = 400  # some ten builds; then layers are made anew once
CRATE, CRATE_VERSION = "lambda_web_adapter", "1.0.0-rc1"


def main() -> int:
    if lacking := caches.missing_tools((*caches.TOOLS, "debootstrap")):
        sys.stderr.write(f"missing: {', '.join(lacking)}; on Debian: apt-get install {' '.join(PACKAGES)}\n")
        return 2
    caches.HOME.mkdir(parents=True, exist_ok=True)
    storage = caches.HOME / "storage"
    caches.STORAGE_CONF.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}"\nrunroot = "{caches.HOME / "run"}"\n'
    )
    _tidy()
    if not caches.has(caches.BASE):
        _make_base()
    if not caches.has(caches.ADAPTER):
        _make_adapter()
    return 0


def _tidy() -> None:
    """A build leaves a container for each stage that is only copied from, and layers that the next may use."""
    caches.buildah("rm", "--all")
    if len(caches.buildah("images", "--all", "--quiet").stdout.split()) > KEPT_LAYERS:
        caches.buildah("rmi", "--prune")


def _make_base() -> None:
    python = _python()
    _say(f"a stand-in for {caches.BASE}: Debian {SUITE} and {python}; some minutes")
    with tempfile.TemporaryDirectory(dir=caches.HOME) as folder:
        tree = Path(folder, "tree")
        _run("debootstrap", "--variant=minbase", f"--include={LIBRARIES}", SUITE, tree)
        for name in NOT_IN_AN_IMAGE:
            shutil.rmtree(tree / name, ignore_errors=True)
            (tree / name).mkdir(parents=True)
        _add_python(tree, python)
        _run("chroot", tree, "/sbin/ldconfig")
        _commit(tree, caches.BASE, "--env", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")


def _python() -> Path:
    """A Python 3.12 with its own prefix, to be copied."""
    asked = os.environ.get("IMAGE_TEST_PYTHON")
    found = [Path(asked)] if asked else sorted(Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12"))
    if not found or not found[-1].is_file():
        raise SystemExit("no Python 3.12 to put into the stand-in base: set IMAGE_TEST_PYTHON to one's bin/python3.12")
    return found[-1]


def _add_python(tree: Path, python: Path) -> None:
    """As in the official image: no tests, no bytecode."""
    prefix, local = python.parent.parent, tree / "usr/local"
    left_out = shutil.ignore_patterns(
        "__pycache__", "test", "tests", "idlelib", "*.a", "config-3.12-*", "site-packages"
    )
    shutil.copytree(prefix / "lib/python3.12", local / "lib/python3.12", ignore=left_out, symlinks=True)
    packages = local / "lib/python3.12/site-packages"
    packages.mkdir()
    for pip in (prefix / "lib/python3.12/site-packages").glob("pip*"):
        shutil.copytree(pip, packages / pip.name, ignore=shutil.ignore_patterns("__pycache__"))
    for library in (prefix / "lib").glob("libpython3*.so*"):
        shutil.copy2(library, local / "lib", follow_symlinks=False)
    (local / "bin").mkdir(exist_ok=True)
    shutil.copy2(python, local / "bin/python3.12", follow_symlinks=True)
    for name in ("python3", "python"):
        (local / "bin" / name).symlink_to("python3.12")


def _make_adapter() -> None:
    _say(f"{CRATE} {CRATE_VERSION} from its crate; some minutes")
    built = caches.HOME / "adapter"
    _run("cargo", "install", "--quiet", "--locked", CRATE, "--version", CRATE_VERSION, "--root", built)
    with tempfile.TemporaryDirectory(dir=caches.HOME) as folder:
        shutil.copy2(built / "bin/lambda-adapter", folder)
        _commit(Path(folder), caches.ADAPTER)  # as in the adapter's own image: one file in the root


def _commit(tree: Path, image: str, *config: str) -> None:
    container = caches.buildah("from", "scratch").stdout.strip()
    caches.buildah("add", "--quiet", container, tree, "/")
    if config:
        caches.buildah("config", *config, container)
    caches.buildah("commit", "--quiet", "--rm", "--format", "docker", "--timestamp", "0", container, image)


def _run(*command: str | Path) -> None:
    words: Sequence[str] = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"`{words[0]}` failed:\n{done.stdout[-2000:]}")


def _say(what: str) -> None:
    sys.stderr.write(f"image tests: making {what}\n")


if __name__ == "__main__":
    sys.exit(main())
