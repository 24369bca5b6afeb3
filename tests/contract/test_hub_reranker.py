"""A reranker from a hub on loopback, through the hub's own client, into a folder that the adapter opens."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.adapters.cross_encoder import OnnxCrossEncoder
from service.jobs import bake
from tests import random_cross_encoder
from tests.hub_server import COMMIT, ModelHub, model_hub

MODEL = "acme/cross-encoder"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = random_cross_encoder.save(tmp_path_factory.mktemp("reranker") / "model", logits=1)
    return {
        "onnx/model.onnx": (folder / "model.onnx").read_bytes(),
        "tokenizer.json": (folder / "tokenizer.json").read_bytes(),
    }


def baked(hub: ModelHub, folder: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """As the image build does it: the hub's client reads HF_ENDPOINT when it is loaded."""
    pinned = {"model": MODEL, "revision": COMMIT, "sha256": hashlib.sha256(hub.files["onnx/model.onnx"]).hexdigest()}
    options = [f"--{name}={value}" for name, value in (pinned | changed).items()]
    command = [sys.executable, "-m", "service.jobs.bake", "reranker", str(folder), *options]
    env = dict(os.environ) | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


def checked(sums: Path) -> None:
    for line in sums.read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((sums.parent / name).read_bytes()).hexdigest() == digest


async def test_what_is_baked_opens_and_scores(files: dict[str, bytes], tmp_path: Path) -> None:
    with model_hub(MODEL, files) as hub:
        done = baked(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / MODEL
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "tokenizer.json"}
    checked(tmp_path / "reranker.sha256")
    reranker = OnnxCrossEncoder.open(folder)
    assert len(await reranker.score("a", ["b", "c"])) == 2
    reranker.close()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"revision": "main"}, "main is no commit of 40 hex digits"),
        ({"sha256": "0" * 64}, "expected 0000"),
        ({"file": "onnx/other.onnx"}, "can't be fetched"),
    ],
)
def test_another_file_than_was_pinned_is_refused_in_one_line(
    changed: dict[str, str],
    why: str,
    files: dict[str, bytes],
    tmp_path: Path,
) -> None:
    with model_hub(MODEL, files) as hub:
        done = baked(hub, tmp_path, **changed)
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1, done.stderr
    assert why in done.stderr
    assert not list(tmp_path.rglob("model.onnx"))


def test_the_embedder_is_found_where_it_was_baked_and_nowhere_else(tmp_path: Path) -> None:
    assert bake.main(["embedder", str(tmp_path / "embedder")]) == 0
    checked(tmp_path / "embedder/embedder.sha256")
    program = (
        "from service.adapters import packaged\n"
        "for each in (packaged.MINILM_ONNX_INT8, packaged.MINILM_TOKENIZER): print(packaged.locate(each))\n"
        "packaged.verified_path(packaged.MINILM_ONNX_INT8); packaged.verified_bytes(packaged.MINILM_TOKENIZER)"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{Path.cwd()}:{tmp_path / 'embedder'}"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert all(Path(line).is_relative_to(tmp_path / "embedder") for line in done.stdout.splitlines())
    assert (tmp_path / "embedder/all_minilm_l6_v2/model.zip").stat().st_size < 1_000_000
