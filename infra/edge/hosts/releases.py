"""What is installed on this host and which of it serves: a release and the one before it, for a rollback.

<base>/wheels/ env-<digest>/ app-<digest>/ models/   from EdgeInstall, names follow content
<base>/bundle/<created>-<digest>/, current ->        a bundle home, as the service reads it
<base>/run/                                          the supervisor's files
<base>/release.json                                  the release that serves and the one before
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from infra.edge.errors import EdgeError
from infra.edge.running import Release

CURRENT = "current"


class Releases(BaseModel):
    """Of one stack on this host."""

    current: Release
    previous: Release | None = None


def switch(release: Release) -> Release | None:
    """Let `bundle/current` name the release's bundle, atomically; the release with the bundle from before, if another.

    Raises:
        EdgeError: the bundle is not there, or the folder can't be written.
    """
    home = Path(release.base, "bundle")
    link = home / CURRENT
    before = link.readlink().name if link.is_symlink() else None
    if before == release.bundle or (release.synced and before is not None and (home / before).is_dir()):
        return None
    if not (home / release.bundle).is_dir():
        raise EdgeError(f"{home / release.bundle} is not there; run `pulumi up` again")
    draft = home / f".{CURRENT}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(release.bundle)
    draft.replace(link)
    known = before is not None and (home / before).is_dir()
    return release.model_copy(update={"bundle": before}) if known else None


def serving(release: Release) -> str:
    """The bundle that is current."""
    return Path(release.base, "bundle", CURRENT).readlink().name


def known(base: Path) -> Releases | None:
    """What serves and what served before; None on a host where nothing has yet."""
    try:
        return Releases.model_validate_json((base / "release.json").read_bytes())
    except (OSError, ValidationError):
        return None


def remember(release: Release) -> None:
    """Note that `release` serves; another one that did until now becomes the previous one."""
    base = Path(release.base)
    found = known(base)
    if found and found.current == release:
        return
    draft = base / "release.json.part"
    draft.write_text(Releases(current=release, previous=found.current if found else None).model_dump_json())
    draft.replace(base / "release.json")


def keep_two(release: Release) -> None:
    """Remove what neither the current release nor the previous one needs, and no process runs from."""
    base = Path(release.base)
    found = known(base)
    releases = [one for one in (found.current, found.previous) if one] if found else [release]
    kept = {name for one in releases for name in (one.env, one.app, one.bundle)}
    bundles = [] if release.synced else _bundles(base)  # what the host brings itself, it also removes
    for folder in (*base.glob("env-*"), *base.glob("app-*"), *bundles):
        if folder.name not in kept and not _used(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _bundles(base: Path) -> list[Path]:
    home = base / "bundle"
    return [path for path in home.glob("*") if path.is_dir() and not path.is_symlink()] if home.is_dir() else []


def _used(folder: Path) -> bool:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                return True
    return False
