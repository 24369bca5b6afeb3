"""Thousands of generated requests against the served contract, valid and not: schemathesis with all its checks.

FUZZ_SECONDS=300 makes it a random run of that length in place of the one that is always the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.adapters.memory import MemoryCache
from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeDocuments, FakeEmbedder, FakeGenerator, FakeQueryModel, FakeReranker, FakeStore
from tests.hashed_keys import hashed, key_book
from tests.real_processes import HttpServer, serve

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = os.environ.get("FUZZ_SECONDS")
KEY = "fuzz-key"
TIMEOUT_S = 600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    book = tmp_path_factory.mktemp("keys") / "keys.json"
    book.write_text(key_book(hashed("fuzz", KEY)))
    settings = Settings(
        vector_store="faiss",
        bundle_dir=Path("unused"),
        generator="llamacpp",
        llamacpp_url="http://unused",
        metrics_port=0,
        auth="api-keys",
        api_keys_from=str(book),
    )
    parts = Parts(
        embedder=FakeEmbedder(),
        store=FakeStore(),
        documents=FakeDocuments(ids={"Ada": ("ada",)}),
        query_model=FakeQueryModel(author="Ada", variants=("other words",)),
        reranker=FakeReranker(),
        generator=FakeGenerator(),
        cache=MemoryCache(entries=100),
    )
    with serve(create_app(settings, parts), lifespan="on") as running:
        yield running


def fuzzed(server: HttpServer, folder: Path, *options: str) -> dict[str, Any]:
    """The report of a run; what failed is the message of the assertion."""
    report = folder / "report.json"
    amount = ["--max-time", SECONDS] if SECONDS else ["--seed", "1"]
    command = [
        str(Path(sys.executable).with_name("st")),
        *("--config-file", str(PROJECT / "tests/system/schemathesis.toml")),
        *("run", str(PROJECT / "docs/openapi.json"), "--url", server.url, "--checks", "all", "--continue-on-failure"),
        *("--report", "json", "--report-json-path", str(report), "--no-color", *amount, *options),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def test_two_thousand_requests_with_a_key_find_nothing_wrong(server: HttpServer, tmp_path: Path) -> None:
    report = fuzzed(server, tmp_path, "--max-examples", "440", "-H", f"Authorization: Bearer {KEY}")
    assert SECONDS or report["test_cases"]["generated"] >= 2000
    assert report["operations"]["tested"] == report["operations"]["total"]


def test_nothing_but_the_probes_answers_without_a_key(server: HttpServer, tmp_path: Path) -> None:
    report = fuzzed(server, tmp_path, "--max-examples", "50", "--exclude-checks", "ignored_auth")
    assert report["operations"]["tested"] == report["operations"]["total"]
