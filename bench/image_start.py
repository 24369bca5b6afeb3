"""What a cold start of the Lambda function costs, in the image itself: adapter and service against the bare libraries.

    python bench/image_start.py            # as root, with the caches and the image of `make image-test`

CPU seconds of all processes until the adapter asks a stand-in of the Runtime API for the first event, beside the CPU of
importing fastapi, uvicorn and onnxruntime and opening the int8 model in the same image; then the same by part, each
after the parts before it; then what a restored snapshot costs. Nothing is asked of stores and vendors before the first
question.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import psutil
from figures import Figure, Report, Skipped, main, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.image import caches
from tests.image.container import LAMBDA_UID, Image, mounted, started
from tests.image.environment import environment
from tests.real_processes import free_port, wait_until

TAG = "localhost/rag-platform:image-test"
GOAL = 1.3
ROUNDS = 7
SETTINGS = {
    "RAG_METRICS_PORT": 0,
    "QDRANT_CLOUD_URL": "http://127.0.0.1:9",
    "RAG_QUERY_MODEL": "openai",
    "RAG_GENERATOR": "openai",
    "OPENAI_API_KEY": "sk-test",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
}
CPU = "import resource as r; u = r.getrusage(r.RUSAGE_SELF); print(u.ru_utime + u.ru_stime)"
BARE = f"""
import os; os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import fastapi, uvicorn, onnxruntime
from service.adapters.packaged import MINILM_ONNX_INT8, locate
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
onnxruntime.InferenceSession(str(locate(MINILM_ONNX_INT8)), options, providers=["CPUExecutionProvider"])
{CPU}
"""
PARTS = """
import json, resource, time
def now():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime, int(open("/proc/self/statm").read().split()[1]) * 4096
marks = [("Python", *now())]
def part(name, code):
    exec(code, {})
    marks.append((name, *now()))
part("FastAPI and pydantic", "import fastapi")
part("uvicorn", "import uvicorn, uvicorn.lifespan.on, uvloop, httptools")
part("the service: routes, settings, pipeline", "import service.__main__")
part("numpy and ONNX Runtime", "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'; import numpy, onnxruntime")
part("embedder: check, session, tokenizer",
     "from service.adapters.onnx_minilm import OnnxMiniLM; OnnxMiniLM.open(threads=1).embed_now(['warm up'])")
part("httpx, and a client with its TLS, for Qdrant", "import service.adapters.qdrant, httpx; httpx.AsyncClient()")
part("OpenAI's client", "import service.adapters.openai_models, openai")
part("boto3, for secrets and SageMaker", "import boto3; boto3.client('secretsmanager', region_name='eu-north-1')")
print(json.dumps(marks))
"""


def run() -> Report:
    if caches.missing() or not caches.has(TAG):
        raise Skipped("`make image-test` builds what this measures")
    with mounted(TAG) as image:
        ready, bare = [], []
        for number in range(ROUNDS + 1):  # the first fills the page cache
            with one_folder() as folder:
                ready.append(_ready_cpu_s(image, folder))
            with one_folder() as folder:
                bare.append(float(_said(image, folder, BARE)))
            if not number:
                ready, bare = [], []
        with one_folder() as folder:
            marks = json.loads(_said(image, folder, PARTS))
        with one_folder() as folder:
            restored = _restored(image, folder)
    ratio = median(a / b for a, b in zip(ready, bare, strict=True))
    figures = [
        Figure("handler ready, adapter included / bare libraries and session", ratio, "x CPU", at_most=GOAL),
        Figure("handler ready, adapter included", median(ready), "CPU s"),
        Figure("bare libraries and session", median(bare), "CPU s"),
        Figure("a restored snapshot's connections", median(cpu_s for cpu_s, _ in restored), "CPU s"),
        Figure("the same, waited for", median(wall_s for _, wall_s in restored), "s"),
    ]
    return report(
        "What does a cold start of the Lambda function cost?",
        figures,
        details={"readyCpuS": ready, "bareCpuS": bare, "parts": _parts(marks)},
        versions=("fastapi", "uvicorn", "onnxruntime", "qdrant-client", "openai"),
    )


def _ready_cpu_s(image: Image, folder: Path) -> float:
    """CPU of adapter and service when the first event is asked for; shell and runc come before both."""
    with environment(image, folder, SETTINGS) as runtime:
        if runtime.ready_at is None:
            raise RuntimeError("not initialized")
        return sum(_cpu_s(each) for each in _own())


def _own() -> list[psutil.Process]:
    users = ((each, each.info["uids"]) for each in psutil.process_iter(["uids"]))
    return [each for each, uids in users if uids and uids.real == LAMBDA_UID]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _restored(image: Image, folder: Path) -> list[tuple[float, float]]:
    """CPU and wall seconds of /snapstart/after, as the adapter asks for it; the first opens what was never closed."""
    port, found = free_port(), []
    told = SETTINGS | {"RAG_PORT": port, "RAG_SNAPSHOTS": "true"}
    with (
        started(image, folder, told, uid=LAMBDA_UID),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
    ):
        wait_until(lambda: _answers(http), within_s=120, what="the service")
        (process,) = (each for each in _own() if "service" in each.cmdline())
        for _ in range(ROUNDS):
            http.post("/snapstart/before").raise_for_status()
            cpu_s, began = _cpu_s(process), time.monotonic()
            http.post("/snapstart/after").raise_for_status()
            found.append((_cpu_s(process) - cpu_s, time.monotonic() - began))
    return found


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _said(image: Image, folder: Path, program: str) -> str:
    with started(image, folder, {}, ["python", "-c", program], uid=LAMBDA_UID) as container:
        if container.process.wait(120) != 0:
            raise RuntimeError((folder / "log").read_text())
    return (folder / "log").read_text()


def _parts(marks: list[tuple[str, float, int]]) -> list[dict[str, object]]:
    """CPU milliseconds and MiB of each part, after those before it."""
    rows, cpu, memory = [], 0.0, 0
    for name, cpu_now, memory_now in marks:
        rows.append(
            {"part": name, "cpuMs": round(1000 * (cpu_now - cpu)), "mib": round((memory_now - memory) / 2**20, 1)}
        )
        cpu, memory = cpu_now, memory_now
    return rows


@contextmanager
def one_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    main(run)
