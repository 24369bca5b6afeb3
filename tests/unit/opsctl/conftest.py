from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from opsctl.cli import main
from opsctl.smoke.golden import load_golden

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class PlayedService:
    """A service on loopback that keeps the HTTP contract until a test tells it otherwise."""

    url: str = ""
    answers: dict[str, Callable[[dict[str, Any]], Reply]] = field(default_factory=dict)
    requests: list[tuple[str, str, Message]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def says(self, path: str, reply: Reply) -> None:
        self.answers[path] = lambda _: reply

    def hangs(self, path: str) -> None:
        def wait(_: dict[str, Any]) -> Reply:
            self.released.wait(30)
            return Reply()

        self.answers[path] = wait


def source(title: str, number: int = 1) -> dict[str, Any]:
    return {
        "id": f"{title}-{number}",
        "collection": "repos",
        "score": 0.71,
        "title": title,
        "url": f"https://pypi.org/project/{title}",
        "author": "Ada Lovelace",
    }


def rag_answer(title: str = "fastapi", **changed: Any) -> dict[str, Any]:
    stages = ("self_query_ms", "query_expansion_ms", "retrieval_ms", "reranking_ms", "generation_ms", "total_ms")
    return {
        "answer": f"It is {title} [1].",
        "sources": [source(title), source("rich", 2)],
        "timings": dict.fromkeys(stages, 1.5),
        "usage": {"inputTokens": 1, "outputTokens": 1, "costUsd": None},
        "cached": False,
        "servedBy": "edge",
        "degraded": [],
        "requestId": "r-1",
    } | changed


def _search(body: dict[str, Any]) -> Reply:
    right = {golden.question: golden.title for golden in load_golden()}
    return Reply(body={"results": [source(right[body["query"]]), source("rich", 2)], "timings": {}})


def _rag(body: dict[str, Any]) -> Reply:
    if body["query"]:
        return Reply(body=rag_answer())
    problem = {"type": "about:blank", "title": "Invalid request", "detail": "query is empty", "requestId": "r-2"}
    return Reply(422, problem, PROBLEM)


@pytest.fixture
def service() -> Iterator[PlayedService]:
    played = PlayedService()
    played.says("/livez", Reply(body={"status": "ok"}))
    played.says("/readyz", Reply(body={"status": "ok"}))
    played.answers |= {"/search": _search, "/rag": _rag}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            played.requests.append((self.command, self.path, self.headers))
            reply = played.answers[self.path](json.loads(body or b"{}"))
            payload = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("content-type", reply.media_type)
            self.send_header("content-length", str(len(payload)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            pass  # a client that timed out is gone

    with Server(("127.0.0.1", 0), Handler) as server:
        played.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield played
        played.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def aws(service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> PlayedService:
    """The same in AWS's place, asked once for each call."""
    for name, value in {
        "AWS_ENDPOINT_URL": service.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return service


@pytest.fixture
def kube_api(service: PlayedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedService:
    """Reached by a context of the kubeconfig that is called as the cluster."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "near", "cluster": {"server": service.url}}],
        "users": [{"name": "me", "user": {"token": "planted-token"}}],
        "contexts": [{"name": "rag-dev", "context": {"cluster": "near", "user": "me"}}],
        "current-context": "another",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    return service


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Run: TypeAlias = Callable[..., Ended]


@pytest.fixture
def opsctl(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*args: str) -> Ended:
        capsys.readouterr()
        code = main(args)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


from tests.unit.opsctl.world import world  # noqa: E402, F401 - a fixture, made with what is above
