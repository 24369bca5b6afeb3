"""What an edge host is asked before anything is installed there; its own Python reads this from stdin.

    ssh host python3 - '{"verb": "look", "home": ".rag-platform/prod"}' < bootstrap.py

Only the standard library. The answer is JSON on stdout; a failure is the last line of stderr and exit code 1.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from typing import Any

KEPT = ("wheels", "models", "bundle")


def look(home: str) -> dict[str, Any]:
    """The host and what is there already, drafts included."""
    systemd = pathlib.Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None
    sudo = systemd and shutil.which("sudo") is not None and _quiet("sudo", "-n", "systemctl", "--version")
    base = pathlib.Path.home() / home
    above = base
    while not above.exists():
        above = above.parent
    files = {}
    for name in KEPT:
        for path in (base / name).rglob("*"):
            with suppress(FileNotFoundError):  # an `up` that was killed may still be at it
                if path.is_symlink() or not path.is_file():
                    continue
                files[str(path.relative_to(base))] = path.stat().st_size
    return {
        "root": systemd and os.getuid() == 0,
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libc": list(platform.libc_ver()),
        "base": str(base),
        "free": shutil.disk_usage(above).free,
        "manager": "systemd" if sudo else "supervisor",
        "files": files,
        "folders": [path.name for path in base.glob("*-*") if path.is_dir() and ".new-" not in path.name],
    }


def install(base: str, env: str, wheels: list[str], lock: str, uv: str) -> dict[str, Any]:
    """A Python environment out of wheels, under its final name only once it is whole."""
    folder = pathlib.Path(base)
    final, draft = folder / env, _draft(folder, env)
    if final.is_dir():
        return {}
    tool = folder / f"uv-tool-{os.getpid()}"  # one that runs can't be overwritten
    with zipfile.ZipFile(folder / "wheels" / uv) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        with archive.open(member) as packed, tool.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    tool.chmod(0o700)
    # Packages are hard links into the cache: a changed lock unpacks only what changed.
    common = ["--offline", "--no-config", "--quiet", "--cache-dir", str(folder / "uv-cache")]
    _run(str(tool), "venv", *common, "--python", sys.executable, "--no-project", str(draft))
    source = ["--no-index", "--find-links", str(folder / "wheels"), "-r", str(folder / "wheels" / lock)]
    target = ["--python", str(draft / "bin" / "python"), "--link-mode", "hardlink", "--compile-bytecode"]
    _run(str(tool), "pip", "install", *common, *source, *target, "--no-deps", "--require-hashes")
    tool.unlink()
    _finish(draft, final)
    for wheel in (folder / "wheels").glob("*"):
        if wheel.name not in {*wheels, lock}:
            wheel.unlink()
    return {}


def adopt(base: str, archive: str, target: str) -> dict[str, Any]:
    """An archive's content as a folder, under its final name only once it is whole."""
    folder = pathlib.Path(base)
    final, draft = folder / target, _draft(folder, target)
    if not final.is_dir():
        try:
            _unpack(folder / archive, draft)
        except FileNotFoundError:  # another attempt was quicker
            if not final.is_dir():
                raise
        else:
            _finish(draft, final)
    (folder / archive).unlink(missing_ok=True)
    return {}


def place(base: str, draft: str, target: str) -> dict[str, Any]:
    """A folder that was filled file by file, under its final name."""
    source, final = pathlib.Path(base, draft), pathlib.Path(base, target)
    _finish(source, final)
    return {}


def remove(base: str) -> dict[str, Any]:
    """Everything of the stack, and the folder of all stacks once it is empty."""
    shutil.rmtree(base, ignore_errors=True)
    with suppress(OSError):
        pathlib.Path(base).parent.rmdir()
    return {}


def _unpack(archive: pathlib.Path, target: pathlib.Path) -> None:
    with tarfile.open(archive) as content:
        if hasattr(tarfile, "data_filter"):  # 3.11.4
            content.extraction_filter = tarfile.data_filter
        content.extractall(target)  # noqa: S202 - packed by this very code


def _draft(folder: pathlib.Path, name: str) -> pathlib.Path:
    """A name of this attempt alone; what ended ones left is removed."""
    for left in (*folder.glob(f"{name}.new-*"), *folder.glob("uv-tool-*")):
        if not pathlib.Path("/proc", left.name.rpartition("-")[2]).is_dir():
            shutil.rmtree(left, ignore_errors=True)
            left.unlink(missing_ok=True)
    return folder / f"{name}.new-{os.getpid()}"


def _finish(draft: pathlib.Path, final: pathlib.Path) -> None:
    try:
        draft.rename(final)
    except OSError:  # another attempt was quicker: a folder that is not empty is not replaced
        if not final.is_dir():
            raise
    shutil.rmtree(draft, ignore_errors=True)


def _quiet(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        sys.exit("{} failed: {}".format(" ".join(command[:2]), " ".join(lines)[:500]))


def main() -> None:
    """Do what argv asks for."""
    order = json.loads(sys.argv[1])
    os.umask(0o077)
    verbs = {"look": look, "install": install, "adopt": adopt, "place": place, "remove": remove}
    verb: Any = verbs[order.pop("verb")]
    try:
        sys.stdout.write(json.dumps(verb(**order)))
    except OSError as exc:
        sys.exit("{}: {}".format(exc.filename or order.get("base"), exc.strerror or exc))


if __name__ == "__main__":
    main()
