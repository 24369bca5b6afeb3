"""CPU from a fresh process to an opened embedder: the service against the libraries it can't do without.

Bytecode is compiled by the first, uncounted rounds, as an installed package's is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from statistics import median

from figures import Figure, Report, main, report
from paired import cpu_s, paired
from processes import PROJECT, environ

GOAL = 1.3
ROUNDS = 15
LISTED = 12
SERVICE = """
import service.app
from service.adapters.onnx_minilm import OnnxMiniLM
OnnxMiniLM.open(threads=1).close()
"""
BARE = """
import fastapi, uvicorn, onnxruntime
from service.adapters.packaged import MINILM_ONNX_INT8, locate
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
onnxruntime.InferenceSession(str(locate(MINILM_ONNX_INT8)), options, providers=["CPUExecutionProvider"])
"""


def run() -> Report:
    env = environ(PYTHONPATH=str(PROJECT))
    compared = paired(
        cpu_s([sys.executable, "-c", SERVICE], env),
        cpu_s([sys.executable, "-c", BARE], env),
        rounds=ROUNDS,
        unit="CPU s",
    )
    figures = [
        Figure(
            "service.app and embedder / fastapi, uvicorn, onnxruntime and session",
            compared.ratio,
            "x CPU",
            at_most=GOAL,
        ),
        Figure("service.app and embedder", median(compared.a), "CPU s"),
        Figure("fastapi, uvicorn, onnxruntime and session", median(compared.b), "CPU s"),
    ]
    details = compared.document() | {"importSelfMsByPackage": _imports(env)}
    return report(
        "What does the service add to the start of its libraries?",
        figures,
        details=details,
        versions=("fastapi", "uvicorn", "onnxruntime", "pydantic-settings", "prometheus-client"),
    )


def _imports(env: dict[str, str]) -> dict[str, float]:
    """Milliseconds of the service's most expensive imports by top-level package, in one run with -X importtime."""
    command = [sys.executable, "-X", "importtime", "-c", SERVICE]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    total: Counter[str] = Counter()
    for self_us, module in re.findall(r"import time:\s*(\d+) \|\s*\d+ \|\s*([\w.]+)", done.stderr):
        total[module.partition(".")[0]] += int(self_us)
    return {package: round(us / 1000, 1) for package, us in total.most_common(LISTED)}


if __name__ == "__main__":
    main(run)
