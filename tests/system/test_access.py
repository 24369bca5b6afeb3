"""Access control of the service as a process: keys in a file, and what is said when they can't be read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.hashed_keys import hashed, key_book
from tests.real_processes import redis_server, service, wait_until

EX_CONFIG = 78
PATIENCE_S = 30.0
SEVERAL_TTLS_S = 0.5


@contextmanager
def client(bundle: Path, **settings: str) -> Iterator[httpx.Client]:
    """Of a service process that searches `bundle`."""
    searching = {"RAG_VECTOR_STORE": "faiss", "RAG_BUNDLE_DIR": bundle, "RAG_SERVED_BY": "edge"}
    with service(searching | settings) as process, httpx.Client(base_url=process.url, trust_env=False) as http:
        yield http


def status(http: httpx.Client, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return http.post("/search", json={"query": "What keeps processes up?"}, headers=headers).status_code


def test_keys_rotate_without_a_restart_and_hold_while_their_file_is_away(one_document: Path, tmp_path: Path) -> None:
    book = tmp_path / "keys.json"
    book.write_text(key_book(hashed("ada", "old-key"), hashed("bob", "bob-key")))
    told = {"RAG_AUTH": "api-keys", "RAG_API_KEYS_FROM": str(book), "RAG_API_KEYS_TTL_S": "0.05"}
    with client(one_document, **told) as http:
        assert [status(http, key) for key in ("old-key", "bob-key", "new-key")] == [200, 200, 401]
        book.write_text(key_book(hashed("ada", "new-key"), hashed("bob", "bob-key")))
        wait_until(lambda: status(http, "new-key") == 200, within_s=PATIENCE_S, what="the new key")
        assert status(http, "old-key") == 401
        book.write_text("half wri")
        time.sleep(SEVERAL_TTLS_S)
        assert status(http, "new-key") == 200
        book.unlink()
        time.sleep(SEVERAL_TTLS_S)
        assert status(http, "new-key") == 200
        book.write_text(key_book(hashed("ada", "new-key")))
        wait_until(lambda: status(http, "bob-key") == 401, within_s=PATIENCE_S, what="the end of a revoked key")


def test_processes_share_a_keys_limit_and_without_redis_each_holds_it_alone(one_document: Path, tmp_path: Path) -> None:
    book = tmp_path / "keys.json"
    book.write_text(key_book(hashed("ada", "ada-key"), hashed("bob", "bob-key", requestsPerMinute=3)))
    with redis_server() as redis:
        told = {
            "RAG_AUTH": "api-keys",
            "RAG_API_KEYS_FROM": str(book),
            "RAG_REQUESTS_PER_MINUTE": "6",
            "RAG_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "RAG_REDIS_TIMEOUT_S": "5",  # patient: the question is who counts, not how fast
        }
        with client(one_document, **told) as one, client(one_document, **told) as other:
            assert [status(each, "ada-key") for each in (one, other) * 4] == [200] * 6 + [429] * 2
            redis.process.kill()
            redis.process.wait()
            for each in (one, other):
                assert [status(each, "bob-key") for _ in range(5)] == [200] * 3 + [429] * 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "keys.json can't be read: No such file or directory"),
        ("{}", "keys.json is no usable key book: version: Field required; see docs/operations.md"),
    ],
)
def test_keys_that_can_not_be_read_are_no_reason_to_let_everybody_in(
    one_document: Path, tmp_path: Path, content: str | None, reason: str
) -> None:
    book = tmp_path / "keys.json"
    if content is not None:
        book.write_text(content)
    told = {"RAG_VECTOR_STORE": "faiss", "RAG_BUNDLE_DIR": str(one_document), "RAG_METRICS_PORT": "0", "RAG_PORT": "0"}
    told |= {"RAG_AUTH": "api-keys", "RAG_API_KEYS_FROM": str(book), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        env=told, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (EX_CONFIG, 1)
    assert f"RAG_API_KEYS_FROM: {book.parent}/{reason}" in done.stderr
