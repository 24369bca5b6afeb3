"""Every package of an edge, as wheels for the host's platform, collected on the operator's machine by hash.

The host needs no network and no compiler; an arm64 host is served from an x86_64 machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from infra.edge.errors import EdgeError

LOCKS = ("edge.txt", "models.txt", "uv.txt")
DOWNLOAD_S = 1800.0
FIRST_MANYLINUX = 17  # glibc 2.17: manylinux2014
OLDER = {"x86_64": ("manylinux2010_x86_64", "manylinux1_x86_64")}


@dataclass(frozen=True, slots=True)
class Platform:
    """What wheels are chosen by.

    Attributes:
        machine: x86_64 or aarch64.
        python: full version; packages draw lines between patch releases too.
        glibc: version of the C library.
    """

    machine: str
    python: str
    glibc: str

    @property
    def minor(self) -> str:
        """Python's version as packages are built for it."""
        return ".".join(self.python.split(".")[:2])

    @property
    def tags(self) -> tuple[str, ...]:
        """Platform tags that run there, the newest first."""
        newest = int(self.glibc.split(".")[1])
        counted = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, 4, -1)]
        return (*counted, f"manylinux2014_{self.machine}", *OLDER.get(self.machine, ()))

    @property
    def markers(self) -> dict[str, str]:
        """PEP 508's variables there; pip would take those of the machine that it runs on."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": self.python,
            "python_version": self.minor,
            "sys_platform": "linux",
        }


@dataclass(frozen=True, slots=True)
class Lock:
    """The packages of an edge for every platform, each with its hashes."""

    text: str

    @classmethod
    def of(cls, root: Path) -> Lock:
        """As the checkout at `root` pins them."""
        return cls("\n".join((root / "requirements" / name).read_text() for name in LOCKS))

    @property
    def digest(self) -> str:
        """Of what is pinned."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def on(self, platform: Platform) -> str:
        """The packages of one platform."""
        lines, wanted = [], True
        for line in self.text.splitlines():
            if line and not line[0].isspace():
                what, _, rest = line.partition(" ; ")
                marker, slash = rest.removesuffix("\\").strip(), " \\" if line.endswith("\\") else ""
                wanted = not marker or Marker(marker).evaluate(platform.markers)
                line = f"{what}{slash}" if marker else line  # noqa: PLW2901 - the line without its marker
            if wanted:
                lines.append(line)
        return "\n".join((*lines, ""))


def wheels(lock: Lock, platform: Platform, cache: Path) -> tuple[Path, ...]:
    """Every wheel of `lock` for `platform`, downloaded once.

    Raises:
        EdgeError: a package has no such wheel, or can't be fetched.
    """
    folder = cache / f"{lock.digest}-{platform.python}-{platform.machine}-{platform.glibc}"
    cache.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)  # hosts of one kind ask at the same time
        if not folder.is_dir():
            _download(lock, platform, folder)
    return tuple(sorted(folder.glob("*.whl")))


def unpacked_bytes(wheel: Path) -> int:
    """What a wheel takes once it is installed."""
    with zipfile.ZipFile(wheel) as archive:
        return sum(info.file_size for info in archive.infolist())


def _download(lock: Lock, platform: Platform, folder: Path) -> None:
    draft = folder.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    requirements = draft / "lock.txt"
    requirements.write_text(lock.on(platform))
    chosen = [word for tag in platform.tags for word in ("--platform", tag)]
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:", "--no-deps"]
    command = [sys.executable, "-m", "pip", "download", *options, *chosen, "--python-version", platform.python]
    try:
        done = subprocess.run(
            [*command, "-r", str(requirements), "-d", str(draft)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise EdgeError(
            f"the packages for {platform.machine} did not arrive in {DOWNLOAD_S:g} s; run it again"
        ) from exc
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise EdgeError(
            f"no packages for Python {platform.minor} on {platform.machine}: {lines[-1]}; run `pulumi up` again"
        )
    requirements.unlink()
    draft.rename(folder)
