"""What an image test needs and no clone holds, in a folder outside of it: container storage, base, Lambda Web Adapter.

`python -m tests.image.caches` says in one line what is missing; exit code 0 where nothing is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TOOLS = ("buildah", "skopeo", "runc", "docker-registry")
BASE = "docker.io/library/python:3.12-slim"
ADAPTER = "localhost/lambda-web-adapter:1.0.0-rc1"  # the newest release of the crate; see docs/decisions/0055
HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "rag-platform", "image")
STORAGE_CONF = HOME / "storage.conf"


def environ() -> dict[str, str]:
    """The environment in which container tools use the storage of this cache, and ask the kernel for little."""
    return dict(os.environ) | {"CONTAINERS_STORAGE_CONF": str(STORAGE_CONF), "BUILDAH_ISOLATION": "chroot"}


def buildah(*arguments: str | Path, check: bool = True, limit_s: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["buildah", *map(str, arguments)],
        env=environ(),
        check=check,
        text=True,
        stdout=subprocess.PIPE,
        stderr=None if check else subprocess.PIPE,
        timeout=limit_s,
    )


def has(image: str) -> bool:
    return STORAGE_CONF.is_file() and buildah("inspect", "--type", "image", image, check=False).returncode == 0


def missing_tools(tools: Sequence[str] = TOOLS) -> list[str]:
    return [tool for tool in tools if shutil.which(tool) is None]


def missing() -> list[str]:
    if tools := missing_tools():
        return tools
    return [image for image in (BASE, ADAPTER) if not has(image)]


def main() -> int:
    lacking = missing()
    if lacking:
        sys.stdout.write(
            f"image tests: caches are cold ({', '.join(lacking)} missing); fill them with `make image-test`\n"
        )
    return int(bool(lacking))


if __name__ == "__main__":
    sys.exit(main())
