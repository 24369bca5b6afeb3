from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = {
    "embedder": "from service.adapters.onnx_minilm import OnnxMiniLM; OnnxMiniLM.open().close()",
    "reranker": "from service.adapters.cross_encoder import OnnxCrossEncoder; from pathlib import Path; "
    "from tests import random_cross_encoder; "
    "OnnxCrossEncoder.open(random_cross_encoder.save(Path('reranker').absolute(), logits=1)).close()",
}


@pytest.mark.parametrize("name", OPEN)
def test_a_model_reports_nothing_about_its_host(name: str, tmp_path: Path) -> None:
    """ONNX Runtime keeps what it will report, and the id that it gave the host, under the home folder."""
    program = f"import sys; sys.path.insert(0, {str(Path.cwd())!r}); {OPEN[name]}"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, check=True, timeout=120)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"reranker"}


def test_without_that_the_library_would_report(tmp_path: Path) -> None:
    """The day this fails the guard may go."""
    from service.adapters.packaged import MINILM_ONNX_INT8, locate

    program = f"import onnxruntime; onnxruntime.InferenceSession({str(locate(MINILM_ONNX_INT8))!r})"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / ".cache/Microsoft").exists()
