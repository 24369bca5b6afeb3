"""An edge's bundles: `python -m service.jobs.edge_bundles status|back --home DIR`, answers as JSON.

`status` says which one is current, which are kept and how the last look at the bucket ended; `back` makes the one
before current, and keeps the one that was from coming back by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from service import bundle, bundle_home
from service.bundle_sync import hold
from service.errors import StartupError
from service.jobs.sync_bundle import SYNC_FILE


def main(argv: list[str]) -> int:
    """0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m service.jobs.edge_bundles", description=__doc__)
    parser.add_argument("verb", choices=("status", "back"))
    parser.add_argument("--home", type=Path, required=True, help="the edge's folder of bundles")
    told = parser.parse_args(argv)
    try:
        if told.verb == "back":
            hold(told.home, bundle.read_manifest(bundle.resolve(told.home)).files)
            bundle_home.back(told.home)
        found = status(told.home)
    except StartupError as exc:
        sys.stderr.write(f"edge_bundles: {exc.detail}\n")
        return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def status(home: Path) -> dict[str, Any]:
    """What is there.

    Raises:
        StartupError: no bundle is current.
    """
    current = bundle.resolve(home)
    bundle.read_manifest(current)
    return {
        "current": current.name,
        "bundles": [found for folder in reversed(bundle_home.kept(home)) if (found := _described(folder))],
        "sync": _synced(home),
    }


def _described(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = bundle.read_manifest(folder)
    except StartupError:  # can't be gone back to either
        return None
    return {
        "id": folder.name,
        "created": manifest.created.isoformat(timespec="seconds"),
        "index": manifest.index_type,
        "recallAt10": manifest.recall_at_10,
        "chunks": manifest.count,
        "source": manifest.source,
    }


def _synced(home: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((home / SYNC_FILE).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
