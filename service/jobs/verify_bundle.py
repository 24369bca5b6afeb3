"""Check a bundle: `python -m service.jobs.verify_bundle DIR` prints its manifest, or one line of what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from service import bundle
from service.errors import StartupError


def main(argv: list[str]) -> int:
    """Exit code 0 where every file is what the manifest says, else 1."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m service.jobs.verify_bundle DIR\n")
        return 2
    try:
        manifest = bundle.verify(bundle.resolve(Path(argv[0])))
    except StartupError as exc:
        sys.stderr.write(f"verify_bundle: {exc.detail}\n")
        return 1
    sys.stdout.write(manifest.model_dump_json(by_alias=True, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
