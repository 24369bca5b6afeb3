"""F31 to F36: an edge and the cloud half behind it: away, asleep, slow; bundles that don't arrive, and a wrong clock.

A hard question goes to the cloud first, an easy one to the edge's own model; each is the other's fallback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsctl.edge.archive import pack
from service import bundle
from service.jobs import ingest
from tests.contract.conftest import Library
from tests.fake_bucket import FakeBucket
from tests.fake_sagemaker import KEYS, NO_CAPACITY, FakeRuntime, silent, vllm
from tests.fault_proxy import Down, FaultProxy, LimitData, Timeout
from tests.faults.deployment import Edge, port_of, url_of
from tests.real_processes import HttpServer, serve, service

HARD = "How does the Analytical Engine weave patterns? And who wrote about it?"
LATE_S = 10.0  # on a busy machine
PREFIX = "bundles/"
EX_TEMPFAIL = 75
HALF_BYTES = 20_000


@dataclass
class HybridEdge(Edge):
    """An edge with a SageMaker endpoint behind it, both models behind proxies."""

    cloud: FaultProxy = None  # type: ignore[assignment]
    runtime: FakeRuntime = None  # type: ignore[assignment]

    @contextmanager
    def refusing(self, status: int, code: str, **fields: Any) -> Iterator[None]:
        self.runtime.refusal = (status, code, fields)
        try:
            yield
        finally:
            self.runtime.refusal = None


@pytest.fixture(scope="module")
def hybrid(library: Library, llama_url: str) -> Iterator[HybridEdge]:
    runtime = FakeRuntime()
    with ExitStack() as stack:
        model = stack.enter_context(FaultProxy(port_of(llama_url)).running())
        cloud = stack.enter_context(FaultProxy(port_of(stack.enter_context(serve(runtime)).url)).running())
        settings = {
            "RAG_SERVED_BY": "edge",
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": library.home,
            "RAG_GENERATOR": "llamacpp",
            "RAG_LLAMACPP_URL": url_of(model),
            "RAG_CONTEXT_TOKENS": 1024,
            "RAG_MAX_OUTPUT_TOKENS": 24,
            "RAG_DEADLINE_S": HybridEdge.deadline_s,
            "RAG_SEARCH_TIMEOUT_S": 5,
            "RAG_PRIVACY": "allow-cloud",
            "RAG_FALLBACK": "sagemaker",
            "SAGEMAKER_ENDPOINT_INFERENCE": "twin",
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url_of(cloud),
            "AWS_ACCESS_KEY_ID": KEYS.access_key,
            "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
            "AWS_REGION": "eu-north-1",
        }
        running = stack.enter_context(service(settings))
        http = stack.enter_context(httpx.Client(base_url=running.url, trust_env=False, timeout=60))
        llama = stack.enter_context(httpx.Client(base_url=llama_url, trust_env=False, timeout=60))
        yield HybridEdge(http, model, llama, cloud=cloud, runtime=runtime)


def served(edge: HybridEdge, question: str | None = None) -> tuple[int, str | None]:
    reply = edge.ask(question)
    return reply.status, reply.body.get("servedBy")


@pytest.mark.fault("F31")
@pytest.mark.parametrize("fault", [Down(), Timeout()], ids=["no route", "black hole"])
def test_an_offline_edge_answers_all_by_itself(hybrid: HybridEdge, fault: Any) -> None:
    assert served(hybrid, HARD) == (200, "cloud")
    with hybrid.cloud.suffering(fault):
        assert served(hybrid) == (200, "edge")
        assert served(hybrid, HARD) == (200, "edge")
        assert hybrid.http.get("/readyz").status_code == 200
    hybrid.recovered(times=1)


@pytest.mark.fault("F32")
def test_a_fallback_that_is_asleep_is_the_edges_answer_or_an_honest_503(hybrid: HybridEdge) -> None:
    with hybrid.refusing(400, "ValidationError", Message=NO_CAPACITY):
        assert served(hybrid, HARD) == (200, "edge")
        with hybrid.model.suffering(Down()):
            reply = hybrid.ask()
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    assert "generation" in json.dumps(reply.body)
    hybrid.recovered(times=1)


@pytest.mark.fault("F33")
def test_a_slow_fallback_moves_no_deadline(hybrid: HybridEdge, figures: dict[str, float]) -> None:
    hybrid.runtime.container = silent
    try:
        with hybrid.model.suffering(Down()):
            reply = hybrid.ask(HARD)
    finally:
        hybrid.runtime.container = vllm()
    figures["answered after the question s"] = reply.took_s
    assert reply.status == 503
    assert reply.took_s < hybrid.deadline_s + LATE_S
    hybrid.recovered(times=1)


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


@pytest.fixture
def store(bucket: FakeBucket) -> Iterator[HttpServer]:
    with serve(bucket) as running:
        yield running


@pytest.fixture
def home(corpus: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    ingest.ingest(corpus, folder, "flat", min_recall=0.9, threads=1)
    return folder


def publish(bucket: FakeBucket, documents: Path, scratch: Path) -> str:
    """A newer bundle in the bucket; its key."""
    made = scratch / "made"
    ingest.ingest(documents, made, "flat", min_recall=0.9, threads=1)
    packed = pack(bundle.resolve(made), scratch / "bundle.tar.zst")
    key = f"{PREFIX}{packed.name}"
    bucket.objects |= {key: packed.path.read_bytes(), f"{PREFIX}latest.json": packed.pointer(key).encode()}
    return key


def sync(home: Path, url: str, *before: str) -> subprocess.CompletedProcess[str]:
    words = ["--home", str(home), "--bucket", "b", "--prefix", PREFIX, "--region", "eu-north-1"]
    return subprocess.run(
        [*before, sys.executable, "-m", "service.jobs.sync_bundle", *words],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newer")
    lines = [
        json.dumps({"collection": "posts", "text": f"Passage {n}: looms weave {n} leaves. " * 8}) for n in range(90)
    ]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.fault("F34")
def test_a_download_that_is_cut_goes_on_and_the_old_bundle_serves_meanwhile(
    home: Path, newer: Path, bucket: FakeBucket, store: HttpServer, tmp_path: Path
) -> None:
    key, old = publish(bucket, newer, tmp_path), bundle.resolve(home)
    with FaultProxy(port_of(store.url)).running() as proxy:
        with proxy.suffering(LimitData(HALF_BYTES)):
            cut = sync(home, url_of(proxy))
        assert (cut.returncode, bundle.resolve(home)) == (EX_TEMPFAIL, old)
        assert len(cut.stderr.strip().splitlines()) == 1
        done = sync(home, url_of(proxy))
    assert done.returncode == 0, done.stderr
    (first, resumed) = [begin for asked, begin in bucket.asked if asked == key]
    assert first == 0 < resumed
    assert bundle.verify(bundle.resolve(home)).count == 90
    assert bundle.verify(old)


@pytest.mark.fault("F35")
def test_a_full_disk_of_an_edge_is_one_line_and_the_old_bundle_serves(
    home: Path, newer: Path, bucket: FakeBucket, store: HttpServer, tmp_path: Path
) -> None:
    publish(bucket, newer, tmp_path)
    old = bundle.resolve(home)
    full = sync(home, store.url, "prlimit", "--fsize=20000")
    assert full.returncode == EX_TEMPFAIL
    assert len(full.stderr.strip().splitlines()) == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert bundle.resolve(home) == old
    assert bundle.verify(old)
    assert sync(home, store.url).returncode == 0
    assert bundle.verify(bundle.resolve(home)).count == 90


@pytest.mark.fault("F36")
def test_a_wrong_clock_costs_an_edge_its_cloud_and_nothing_else(hybrid: HybridEdge) -> None:
    """AWS refuses a signature that is more than five minutes off."""
    with hybrid.refusing(403, "InvalidSignatureException", message="Signature expired: 20260101T000000Z"):
        assert served(hybrid) == (200, "edge")
        assert served(hybrid, HARD) == (200, "edge")
    hybrid.recovered(times=1)
