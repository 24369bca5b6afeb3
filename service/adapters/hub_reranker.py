"""A cross-encoder's ONNX artefact from the model hub, for a folder that the service can open: pinned, then checked."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from service.adapters.packaged import sha256_of
from service.errors import StartupError

COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(model: str, revision: str, *, file: str, sha256: str, into: Path) -> list[Path]:
    """Write `model.onnx` and `tokenizer.json` of a hub's model into a folder.

    Args:
        model: hub id, owner/name.
        revision: a commit: a branch may hold something else tomorrow.
        file: which export, as the hub names it, e.g. onnx/model_qint8_arm64.onnx.
        sha256: of that file.
        into: is made.

    Raises:
        StartupError: the revision is no commit, the hub gives no such file, or another one than was pinned.
    """
    if not COMMIT.fullmatch(revision):
        raise StartupError(f"reranker {model}: {revision or 'no revision'} is no commit of 40 hex digits; name one")
    into.mkdir(parents=True, exist_ok=True)
    _download(model, revision, file, into / "model.onnx")
    actual = sha256_of(into / "model.onnx")
    if actual != sha256:
        (into / "model.onnx").unlink()
        raise StartupError(
            f"reranker {model}: {file} of {revision[:12]} has sha256 {actual}, expected {sha256 or 'none was given'}; "
            "give the one that you trust"
        )
    _download(model, revision, "tokenizer.json", into / "tokenizer.json")
    return [into / "model.onnx", into / "tokenizer.json"]


def _download(model: str, revision: str, file: str, target: Path) -> None:
    import httpx2  # noqa: PLC0415 - the hub's client raises its errors
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - only a build fetches
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    scratch = target.with_name(".fetched")
    try:
        shutil.copyfile(hf_hub_download(model, file, revision=revision, local_dir=scratch), target)
    except (HfHubHTTPError, OSError, httpx2.HTTPError, ValueError) as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise StartupError(f"reranker {model}: {file} can't be fetched ({reason})") from exc
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
