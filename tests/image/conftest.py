from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import random_cross_encoder
from tests.contract.conftest import Library, library  # noqa: F401 - a fixture
from tests.contract.test_qdrant import fill
from tests.fake_qdrant import FakeQdrant
from tests.hub_server import COMMIT, model_hub
from tests.image import caches
from tests.image.container import Image, mounted
from tests.real_processes import free_port, running, serve
from tests.scripted_openai import ScriptedOpenAI

RERANKER = "acme/random-cross-encoder"
TAG = "localhost/rag-platform:image-test"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture(scope="session", autouse=True)
def warm_caches() -> None:
    """Where the caches are cold there is nothing to test with; `make image-test` fills them first."""
    if lacking := caches.missing():
        because = f"image caches are cold ({', '.join(lacking)} missing): `make image-test` fills them"
        if os.environ.get("CI"):
            pytest.fail(because)
        pytest.skip(because)


@dataclass(frozen=True)
class Registry:
    """A registry of images on loopback, and the environment in which tools take it without TLS."""

    address: str
    environ: dict[str, str]

    def holds(self, image: str, name: str) -> str:
        """Put a local image into it; the name that it has there."""
        there = f"{self.address}/{name}"
        self.run("skopeo", "copy", "--quiet", f"containers-storage:{image}", f"docker://{there}")
        return there

    def run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environ, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
        return done.stdout


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    address = f"127.0.0.1:{port}"
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    settings = folder / ".config/containers"
    settings.mkdir(parents=True)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    environ = caches.environ() | {"HOME": str(folder)}  # skopeo of Debian 12 knows no other way to tell it
    with running(["docker-registry", "serve", folder / "config.yml"], port):
        yield Registry(address, environ)


@dataclass(frozen=True)
class Built:
    """What `opsctl image build` said, and the image."""

    document: dict[str, Any]
    image: Image
    sbom: Path
    reranker: Path  # the folder whose files the hub had


@pytest.fixture(scope="session")
def from_registry(registry: Registry) -> list[str]:
    """Where the build finds its base and the adapter: on a registry, as a user's does."""
    base = registry.holds(caches.BASE, "library/python:3.12-slim")
    return ["--base", base, "--adapter", registry.holds(caches.ADAPTER, "awsguru/aws-lambda-adapter:1.0.0-rc1")]


def opsctl_image_build(registry: Registry, *options: str | Path, **environ: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "opsctl.cli", "image", "build", "--ca-bundle", CA_BUNDLE, "-o", "json", *options]
    done = subprocess.run(
        [str(word) for word in command],
        env=registry.environ | environ,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="session")
def built(registry: Registry, from_registry: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("built")
    reranker = random_cross_encoder.save(folder / "reranker", logits=1)
    files = {
        "onnx/model.onnx": (reranker / "model.onnx").read_bytes(),
        "tokenizer.json": (reranker / "tokenizer.json").read_bytes(),
    }
    sbom = folder / "sbom.cdx.json"
    with model_hub(RERANKER, files) as hub:
        options = ["--tag", TAG, *from_registry, "--reranker", f"{RERANKER}@{COMMIT}", "--sbom", str(sbom)]
        document = opsctl_image_build(registry, *options, HF_ENDPOINT=hub.url)
    with mounted(TAG) as image:
        yield Built(document, image, sbom, reranker)


@pytest.fixture(scope="session")
def image(built: Built) -> Image:
    return built.image


@dataclass
class Backends:
    """What the service in the image works with, all on loopback, and the settings that say where."""

    model: ScriptedOpenAI
    settings: dict[str, object] = field(default_factory=dict)


@pytest.fixture
def backends(library: Library, tmp_path: Path) -> Iterator[Backends]:  # noqa: F811 - the fixture
    store, model = FakeQdrant(), ScriptedOpenAI(author="Ada Lovelace")
    asyncio.run(fill(store.store, library))
    with serve(store.app()) as qdrant, serve(model.app()) as openai:
        yield Backends(
            model,
            {
                "RAG_METRICS_PORT": 0,
                "QDRANT_CLOUD_URL": qdrant.url,
                "RAG_QUERY_MODEL": "openai",
                "RAG_GENERATOR": "openai",
                "OPENAI_API_KEY": "sk-test",
                "OPENAI_BASE_URL": f"{openai.url}/v1",
                "RAG_RERANKER": "onnx",
                "RAG_RERANKER_MODEL": RERANKER,
                # a busy machine: no test is about these limits
                "RAG_SEARCH_TIMEOUT_S": 10,
                "RAG_RERANK_TIMEOUT_S": 10,
                "RAG_QUERY_MODEL_TIMEOUT_S": 10,
                "RAG_FIRST_TOKEN_TIMEOUT_S": 20,
            },
        )
