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
KEEP = 2  # bundles, as the service keeps them that come from a bucket


class Releases(BaseModel):
    """Of one stack on this host."""

    current: Release
    previous: Release | None = None


def switch(release: Release) -> str | None:
    """Let `bundle/current` name the release's bundle, atomically; the bundle from before, where there was another.

    A bundle that was switched to once is not switched to again: since then the bucket may have brought a newer one, or
    an operator gone back to an older one.

    Raises:
        EdgeError: the bundle is not there, or the folder can't be written.
    """
    found = known(Path(release.base))
    before = serving(release)
    settled = release.synced or (found is not None and found.current.bundle == release.bundle)
    if before == release.bundle or (before is not None and settled):
        return None
    point(release, release.bundle)
    return before


def point(release: Release, bundle: str) -> None:
    """Let `bundle/current` name a bundle that is there.

    Raises:
        EdgeError: as of `switch`.
    """
    home = Path(release.base, "bundle")
    if not (home / bundle).is_dir():
        raise EdgeError(f"{home / bundle} is not there; run `pulumi up` again")
    draft = home / f".{CURRENT}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(bundle)
    draft.replace(home / CURRENT)


def serving(release: Release) -> str | None:
    """The bundle that `bundle/current` names, if that is there."""
    link = Path(release.base, "bundle", CURRENT)
    return link.readlink().name if link.is_symlink() and link.is_dir() else None


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
    kept |= {path.name for path in _bundles(base)[-KEEP:]}
    bundles = [] if release.synced else _bundles(base)  # what the host brings itself, it also removes
    for folder in (*base.glob("env-*"), *base.glob("app-*"), *bundles):
        if folder.name not in kept and folder.name != serving(release) and not _used(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _bundles(base: Path) -> list[Path]:
    home = base / "bundle"
    return sorted(path for path in home.glob("[!.]*") if path.is_dir() and not path.is_symlink())


def _used(folder: Path) -> bool:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                return True
    return False
