"""Put model artefacts into folders, as the image is built: each checked, and listed with its SHA-256.

    python -m service.jobs.bake embedder FOLDER
    python -m service.jobs.bake reranker FOLDER --model OWNER/NAME --revision COMMIT --sha256 HEX

The reranker lands in FOLDER/OWNER/NAME; the service finds it there by RAG_RERANKER_ROOT. It must import no more of the
service than these few modules: the Dockerfile copies only them before it bakes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from service.adapters import hub_reranker, packaged
from service.errors import StartupError

EX_CONFIG = 78


def embedder(folder: Path) -> list[Path]:
    """The embedding model and its tokenizer out of their packages, where the service looks for them in those.

    With the folder on PYTHONPATH they are found and checked as the installed packages' are, without 80 MB of weights
    that lie beside the tokenizer.

    Raises:
        StartupError: a package is absent, or holds something else than was pinned.
    """
    model, tokenizer = packaged.MINILM_ONNX_INT8, packaged.MINILM_TOKENIZER
    files = [folder / each.package / each.path for each in (model, tokenizer)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()  # else a package of that name further back on the path goes before
    shutil.copyfile(packaged.verified_path(model), files[0])
    with zipfile.ZipFile(files[1], "w") as archive:
        archive.writestr(zipfile.ZipInfo(str(tokenizer.member)), packaged.verified_bytes(tokenizer))
    return files


def main(argv: list[str] | None = None) -> int:
    """Bake one artefact; exit code 78 and one line on stderr where it is not what was asked for."""
    options = _parser().parse_args(argv)
    try:
        if options.what == "embedder":
            files = embedder(options.folder)
        else:
            into = options.folder / options.model
            files = hub_reranker.fetch(
                options.model, options.revision, file=options.file, sha256=options.sha256, into=into
            )
    except StartupError as exc:
        sys.stderr.write(f"bake: {exc}\n")
        return EX_CONFIG
    _write_sums(options.folder / f"{options.what}.sha256", files)
    return 0


def _write_sums(target: Path, files: Sequence[Path]) -> None:
    """In the form that `sha256sum --check` reads, relative to its folder."""
    lines = [f"{packaged.sha256_of(file)}  {file.relative_to(target.parent)}\n" for file in files]
    target.write_text("".join(lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.jobs.bake", description="bake model artefacts")
    artefacts = parser.add_subparsers(dest="what", required=True)
    artefacts.add_parser("embedder").add_argument("folder", type=Path)
    reranker = artefacts.add_parser("reranker")
    reranker.add_argument("folder", type=Path)
    reranker.add_argument("--model", required=True, help="hub id, owner/name")
    reranker.add_argument("--revision", required=True, help="commit of the model's repository")
    reranker.add_argument("--file", default="onnx/model.onnx", help="which export of the repository")
    reranker.add_argument("--sha256", required=True, help="of that file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
