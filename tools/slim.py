"""Take out of a folder of installed packages what the service never loads; what is left is smaller by a quarter.

    python slim.py SITE_PACKAGES [--zip]

`--zip` takes out more: a faster event loop, which asyncio does without, and what uvicorn does not ask for. Used while
the image and the zip archive are built, before bytecode is compiled; tests run models and clients on what is left.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Of numpy's own test folders nothing is imported, and nobody compiles against headers or reads stubs in an image.
FOLDERS = ("tests", "test")
FILES = ("*.pyi", "*.pxd", "*.pyx", "*.h", "*.hpp", "*.a")
# ONNX Runtime's are for exporting and quantizing; its library is for programs in C: Python's extension has all of it.
# The hub's client is tokenizers' for models by name; files are baked.
PARTS = (
    "onnxruntime/capi/libonnxruntime.so*",
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/datasets",
    "numpy/f2py",
    "huggingface_hub",
    "hf_xet",
    "fsspec",
    "filelock",
)
ZIP_PARTS = ("uvloop", "websockets", "watchfiles")
# Every `client("...")` of the service, the credential providers' own; a test holds the former.
AWS = ("secretsmanager", "ssm", "sagemaker-runtime", "s3", "cloudwatch", "sts", "sso", "sso-oidc", "signin")


def doomed(root: Path, *, for_zip: bool) -> Iterator[Path]:
    """What goes."""
    for name in (*PARTS, *(ZIP_PARTS if for_zip else ())):
        yield from root.glob(name)
    yield from (found for name in FOLDERS for found in root.rglob(name) if found.is_dir())
    yield from (found for pattern in FILES for found in root.rglob(pattern))
    data = root / "botocore/data"
    yield from (found for found in data.glob("*") if found.is_dir() and found.name not in AWS)


def slim(root: Path, *, for_zip: bool) -> None:
    """Remove it."""
    for path in list(doomed(root, for_zip=for_zip)):
        if not path.exists():
            continue  # in a folder that went before
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def main(arguments: list[str]) -> int:
    """Slim one folder."""
    root = Path(arguments[0])
    if not (root / "onnxruntime").is_dir():
        sys.stderr.write(f"slim: {root} holds no installed packages of the service\n")
        return 2
    slim(root, for_zip="--zip" in arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
