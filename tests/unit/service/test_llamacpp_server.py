from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from service.adapters import llamacpp_server
from service.errors import StartupError

FILES = ["README.md", "big-Q4_K_M-00001-of-00002.gguf", "model-Q4_K_M.gguf", "model-Q8_0.gguf"]
CONTENT = b"GGUF and no more"


@pytest.mark.parametrize(
    ("quant", "chosen"), [("Q4_K_M", "model-Q4_K_M.gguf"), ("q8_0", "model-Q8_0.gguf"), ("Q2_K", None)]
)
def test_one_whole_file_of_the_named_quantisation_is_chosen(quant: str, chosen: str | None) -> None:
    assert llamacpp_server.choose_file(FILES, quant) == chosen


@pytest.mark.parametrize("name", ["/nowhere.gguf", "owner/repo.gguf", "a/b/c", "one", "owner/repo:Q4:Q5"])
def test_what_is_neither_a_file_nor_a_hub_id_is_refused_with_what_is_legal(name: str) -> None:
    with pytest.raises(StartupError, match=r"give a path to a GGUF file, a hub id owner/repo:QUANT, or one of smollm2"):
        llamacpp_server.model_path(name)


class Hub(BaseHTTPRequestHandler):
    """As much of the model hub's API as fetching one file takes."""

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        if self.path.startswith("/api/models/owner/repo/tree/"):
            files = [{"type": "file", "path": name, "size": len(CONTENT), "oid": "0" * 40} for name in FILES]
            body, extra = json.dumps(files).encode(), {"content-type": "application/json"}
        elif self.path.startswith("/owner/repo/resolve/"):
            body, extra = CONTENT, {"etag": '"abc"', "x-repo-commit": "1" * 40}
        else:
            self.send_error(404)
            return
        self.send_response(200)
        for name, value in {"content-length": str(len(body)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        if send:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(hub: str, name: str, home: Path) -> subprocess.CompletedProcess[str]:
    code = f"from service.adapters.llamacpp_server import model_path; print(model_path({name!r}))"
    env = {"PATH": os.environ["PATH"], "HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_hub_id_is_fetched_in_its_quantisation(hub: str, tmp_path: Path) -> None:
    done = fetch(hub, "owner/repo:Q8_0", tmp_path)
    path = Path(done.stdout.strip())
    assert path.name == "model-Q8_0.gguf", done.stderr
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("owner/repo:Q2_K", "owner/repo has no single GGUF file with Q2_K"),
        ("owner/absent", "owner/absent can't be fetched"),
    ],
)
def test_a_hub_id_that_can_not_be_fetched_says_what_to_do(hub: str, tmp_path: Path, name: str, reason: str) -> None:
    done = fetch(hub, name, tmp_path)
    assert done.stderr.splitlines()[-1].startswith("service.errors.StartupError: generation.model: ")
    assert reason in done.stderr
