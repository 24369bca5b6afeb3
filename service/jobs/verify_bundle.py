"""Check a bundle: `python -m service.jobs.verify_bundle DIR` prints its manifest, or one line of what is wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from service import bundle
from service.adapters import packaged
from service.errors import StartupError


def main(argv: list[str]) -> int:
    """Exit code 0 where every file is what the manifest says, else 1."""
    parser = argparse.ArgumentParser(prog="python -m service.jobs.verify_bundle", description="Check a bundle")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a bundle, or the home whose `current` it is")
    folder = bundle.resolve(parser.parse_args(argv).folder)
    try:
        manifest = bundle.verify(folder)
        _same_model(folder, manifest.embedding_sha256)
    except StartupError as exc:
        sys.stderr.write(f"verify_bundle: {exc.detail}\n")
        return 1
    sys.stdout.write(manifest.model_dump_json(by_alias=True, indent=2) + "\n")
    return 0


def _same_model(folder: Path, sha256: str) -> None:
    if sha256 != packaged.MINILM_ONNX_INT8.sha256:
        raise StartupError(f"{folder}: made by another embedding model; build it again: {bundle.BUILD_COMMAND}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
