"""The archive of `lambda.packaging: zip`, unpacked as Lambda unpacks it, and asked on a bare base with the adapter."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image import caches
from tests.image.conftest import Backends, Registry, opsctl_image_build
from tests.image.container import Image, mounted, started
from tests.image.environment import environment
from tests.lambda_runtime import rest_api_event
from tools.lambda_zip import LAYER, LIMIT

QUESTION = "How does the Analytical Engine weave patterns?"
# As docs/image.md tells the function.
ADAPTER = {
    "AWS_LWA_READINESS_CHECK_PATH": "/readyz",
    "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200",
    "AWS_LWA_INVOKE_MODE": "response_stream",
}
UNCOMPILED = """
import os, sys
import service.app, service.__main__, service.adapters.onnx_minilm
import service.adapters.qdrant, service.adapters.openai_models
names = [m.__name__ for m in sys.modules.values() if (getattr(m, "__file__", "") or "").startswith("/var/task")
         and m.__file__.endswith(".py") and not os.path.exists(m.__cached__)]
print(names)
"""


@pytest.fixture(scope="module")
def task(registry: Registry, from_registry: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/var/task."""
    folder = tmp_path_factory.mktemp("zip")
    document = opsctl_image_build(registry, *from_registry, "--zip", folder / "lambda.zip")
    assert document["reranker"] is None
    with zipfile.ZipFile(folder / "lambda.zip") as archive:
        archive.extractall(folder / "task")
    (folder / "task/run.sh").chmod(0o755)  # extractall knows no modes; Lambda does
    return folder / "task"


@pytest.fixture(scope="module")
def base() -> Iterator[Image]:
    with mounted(caches.BASE) as image:
        yield image


@pytest.fixture(scope="module")
def adapter() -> Iterator[Path]:
    """/opt, as the adapter's layer fills it."""
    with mounted(caches.ADAPTER) as image:
        yield image.root


def test_lambda_takes_it_with_the_adapters_layer(task: Path, adapter: Path) -> None:
    unzipped = sum(path.stat().st_size for path in task.rglob("*") if path.is_file())
    layer = (adapter / "lambda-adapter").stat().st_size
    assert layer < LAYER
    assert unzipped + LAYER <= LIMIT
    assert any(task.rglob("*.pyc"))


def test_every_module_comes_from_bytecode(task: Path, base: Image, tmp_path: Path) -> None:
    words = ["python3", "-c", UNCOMPILED]
    with started(base, tmp_path / "box", {"PYTHONPATH": "/var/task"}, words, mounts={"/var/task": task}) as container:
        assert container.process.wait(120) == 0
    assert (tmp_path / "box/log").read_text().strip() == "[]"


def test_it_embeds_searches_and_generates(
    task: Path, adapter: Path, base: Image, backends: Backends, tmp_path: Path
) -> None:
    """An ONNX session, Qdrant's client over HTTP and OpenAI's, all on what `tools/slim.py --zip` left."""
    settings = backends.settings | ADAPTER | {"RAG_RERANKER": "none"}
    del settings["RAG_RERANKER_MODEL"]
    mounts = {"/var/task": task, "/opt/extensions": adapter}
    with environment(base, tmp_path / "sandbox", settings, "/var/task/run.sh", mounts) as runtime:
        said, body = runtime.invoke(rest_api_event("POST", "/rag", {"query": QUESTION})).wait().streamed
        assert said["statusCode"] == 200, body
        answer = json.loads(body)
        assert (answer["answer"], answer["degraded"]) == ("The engine weaves patterns [1].", [])
        stream, events = (
            runtime.invoke(rest_api_event("POST", "/rag", {"query": QUESTION + "?", "stream": True})).wait().streamed
        )
        assert stream["headers"]["content-type"].startswith("text/event-stream")
        assert events.count(b"event: token") >= 3
