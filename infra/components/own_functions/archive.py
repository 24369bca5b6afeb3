"""What goes into a function's archive: its modules below their own names, and pure Python requirements beside them.

The list is `archive.txt` in the function's folder; a test runs the archive alone. Requirements are copied from the
environment that runs the program, whose versions are locked by hashes, so that an `up` needs no package index.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import InfraError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
FUNCTIONS = ROOT / "opsctl" / "functions"
COMPILED = {".so", ".pyd", ".dylib"}
KEPT = {".py", ".yaml", ".json"}


def archive(function: str) -> dict[str, Path]:
    """Path in the archive -> file, of `opsctl/functions/<function>`.

    Raises:
        InfraError: a requirement is not installed, or is compiled for this machine.
    """
    found: dict[str, Path] = {}
    for line in (FUNCTIONS / function / "archive.txt").read_text(encoding="utf-8").split():
        found |= {path.relative_to(ROOT).as_posix(): path for path in _modules(ROOT / line)}
    for requirement in _requirements(function):
        found |= dict(_distribution(requirement))
    return dict(sorted(found.items()))


def _modules(path: Path) -> Iterator[Path]:
    """A file, or all of a package's files."""
    if path.is_file():
        yield path
        return
    yield from (each for each in sorted(path.rglob("*")) if each.suffix in KEPT and "__pycache__" not in each.parts)


def _requirements(function: str) -> list[str]:
    """Names of distributions; the versions are those of the lock files."""
    file = FUNCTIONS / function / "requirements.txt"
    lines = file.read_text(encoding="utf-8").split() if file.exists() else []
    return [line.partition(">")[0].partition("=")[0] for line in lines]


def _distribution(name: str) -> Iterator[tuple[str, Path]]:
    try:
        listed = files(name) or []
    except PackageNotFoundError as exc:
        raise InfraError(f"{name} is not installed, which a function of the stack needs; run `make setup`") from exc
    if compiled := [str(each) for each in listed if each.suffix in COMPILED]:
        raise InfraError(f"{name} is compiled ({compiled[0]}), so it can't be copied into a function's archive")
    for each in listed:
        if each.suffix == ".py" or each.name in {"py.typed", "cacert.pem", "METADATA"}:
            yield each.as_posix(), Path(str(each.locate()))
