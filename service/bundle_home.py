"""A folder of bundles and which of them is current: what is kept there, and going back to the one before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from service import bundle
from service.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


def kept(home: Path) -> list[Path]:
    """The bundle folders of `home`, oldest first; their names begin with when they came here."""
    found = (path.parent for path in home.glob(f"[!.]*/{bundle.MANIFEST}"))
    return sorted(path for path in found if not path.is_symlink())


def point(home: Path, folder: Path) -> None:
    """Make `folder` the current one; a reader sees it or the one before."""
    link = home / f".{bundle.CURRENT}-{folder.name}"
    link.unlink(missing_ok=True)  # of a process that was killed between the next two lines
    link.symlink_to(folder.name)
    os.replace(link, home / bundle.CURRENT)  # noqa: PTH105 - Path.replace would do; os.replace names the guarantee


def back(home: Path) -> Path:
    """Make the bundle before the current one current; which that is.

    Raises:
        StartupError: there is none, or it is damaged; nothing is changed then.
    """
    current = bundle.resolve(home)
    older = [folder for folder in kept(home) if folder.name < current.name]
    if not older:
        raise StartupError(f"{home}: no bundle before {current.name} is kept; take a new one: `opsctl edge update`")
    bundle.verify(older[-1])
    point(home, older[-1])
    return older[-1]
