"""What no client should send, to a real process: the right status, no model paid, nothing given away."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests import real_processes
from tests.hashed_keys import hashed, key_book
from tests.real_processes import serve
from tests.scripted_openai import ScriptedOpenAI

INPUTS: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data/bad_inputs.yaml").read_text(encoding="utf-8")
)
KEY = "planted-caller-key"
SECRETS = (KEY, "planted-openai-key", "Traceback", str(Path(__file__).parents[2]))
PATIENCE_S = 30.0


def expanded(text: str) -> str:
    """{{x*3}} is xxx."""
    return re.sub(r"\{\{(?s:(.{1,8}?))\*(\d+)\}\}", lambda part: part[1] * int(part[2]), text)


@dataclass(frozen=True)
class Service:
    """The process, what it writes, and whom it pays."""

    port: int
    openai: ScriptedOpenAI
    log: Path

    def post(self, entry: dict[str, Any]) -> httpx.Response:
        """What is sent in the `bodies` of the data."""
        if "latin1" in entry:
            content = entry["latin1"].encode("latin-1")
        elif "gzip" in entry:
            content = gzip.compress(expanded(entry["gzip"]).encode(), 1)[:30_000]
        else:
            content = expanded(entry["body"]).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"} | entry.get("headers", {})
        url = httpx.URL(f"http://127.0.0.1:{self.port}", raw_path=entry.get("path", "/rag").encode())
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
            return client.request(entry.get("method", "POST"), url, content=content, headers=headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture(scope="module")
def service(one_document: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("service")
    (home / "keys.json").write_text(key_book(hashed("caller", KEY)))
    openai = ScriptedOpenAI()
    with serve(openai.app()) as vendor:
        settings = {
            "RAG_VECTOR_STORE": "faiss",
            "RAG_BUNDLE_DIR": one_document,
            "RAG_MIN_SCORE": "-1",
            "RAG_AUTH": "api-keys",
            "RAG_API_KEYS_FROM": home / "keys.json",
            "RAG_GENERATOR": "openai",
            "RAG_QUERY_MODEL": "openai",
            "OPENAI_API_KEY": "planted-openai-key",
            "OPENAI_BASE_URL": f"{vendor.url}/v1",
        }
        logging = ("sh", "-c", f'exec "$@" >{home}/log 2>&1', "sh")
        with real_processes.service(settings, *logging) as process:
            yield Service(process.port, openai, home / "log")


def names(part: str) -> list[Any]:
    return [pytest.param(entry, id=entry["name"]) for entry in INPUTS[part]]


def statuses(entry: dict[str, Any]) -> list[int]:
    return entry["status"] if isinstance(entry["status"], list) else [entry["status"]]


def test_there_are_sixty_and_each_has_a_name_of_its_own() -> None:
    for entries in INPUTS.values():
        assert len({entry["name"] for entry in entries}) == len(entries)
    assert len(INPUTS["bodies"]) + len(INPUTS["sockets"]) >= 60


@pytest.mark.parametrize("entry", names("bodies"))
def test_a_bad_request_is_refused_and_costs_nothing(entry: dict[str, Any], service: Service) -> None:
    before = service.openai.calls
    response = service.post(entry)
    assert response.status_code in statuses(entry), response.text
    assert response.headers["content-type"] == "application/problem+json" or response.status_code == 400
    assert service.openai.calls == before
    assert not any(secret in response.text for secret in SECRETS)


@pytest.mark.parametrize("path", ["/search", "/rag"])
@pytest.mark.parametrize("entry", names("accepted"))
def test_an_odd_request_is_answered(entry: dict[str, Any], path: str, service: Service) -> None:
    before = service.openai.calls
    response = service.post(entry | {"path": path})
    assert response.status_code == 200, response.text
    assert service.openai.calls == before + (3 if path == "/rag" else 2)


@pytest.mark.parametrize("entry", names("sockets"))
def test_bytes_that_are_no_request_end_their_own_connection_only(entry: dict[str, Any], service: Service) -> None:
    before = service.openai.calls
    sent = expanded(entry["send"].replace("KEY", f"authorization: Bearer {KEY}")).encode("latin-1")
    with service.connect() as connection, service.connect() as other:
        sender = threading.Thread(target=_send, args=(connection, sent), daemon=True)
        sender.start()
        if entry.get("leave"):
            sender.join()
        else:
            status = connection.makefile("rb").readline().split()[1]
            assert int(status) in statuses(entry)
        other.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b" 200 " in other.makefile("rb").readline()
        sender.join()
    assert service.openai.calls == before


def _send(connection: socket.socket, sent: bytes) -> None:
    try:
        connection.sendall(sent)
    except OSError:
        return  # it did not listen to the end, as it should not


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    probe = b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n"
    with service.connect() as connection:
        connection.sendall(probe % b"/livez" + probe % b"/nowhere" + probe % b"/readyz")
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 3 or b'"ready"' not in answers:
            answers += connection.recv(65536)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"401", b"200"]


def test_slow_clients_are_given_up_and_hold_nobody_up(service: Service) -> None:
    """Heads and bodies at a byte per second, and connections that say nothing."""
    head = b"POST /search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n"
    keyed = head + f"authorization: Bearer {KEY}\r\n\r\n".encode()
    began = time.monotonic()
    slow = {name: [service.connect() for _ in range(20)] for name in (b"", head, keyed)}
    for start, connections in slow.items():
        for connection in connections:
            connection.sendall(start)
            connection.setblocking(False)  # noqa: FBT003 - the socket module's own
    ended: dict[bytes, set[bytes]] = {start: set() for start in slow}
    slowest_s = 0.0
    while any(slow.values()) and time.monotonic() - began < PATIENCE_S:
        for start, connections in slow.items():
            for connection in connections[:]:
                if (answer := _drip(connection, b"a" if start else b"")) is not None:
                    ended[start].add(answer[:12])
                    connections.remove(connection)
                    connection.close()
        asked = time.monotonic()
        assert httpx.get(f"http://127.0.0.1:{service.port}/readyz", trust_env=False).status_code == 200
        slowest_s = max(slowest_s, time.monotonic() - asked)
        time.sleep(0.5)
    assert not any(slow.values()), "some are still connected"
    assert ended == {b"": {b""}, head: {b"HTTP/1.1 408"}, keyed: {b"HTTP/1.1 408"}}
    assert slowest_s < PATIENCE_S / 3


def _drip(connection: socket.socket, byte: bytes) -> bytes | None:
    """Send a byte more; what the other side said at its end, None while it still listens."""
    try:
        connection.send(byte)
        return connection.recv(4096)
    except BlockingIOError:
        pass
    except OSError:
        return b""
    return None


def test_the_log_tells_neither_a_secret_nor_what_was_asked(service: Service) -> None:
    marker = "zebra-crossing-at-dawn"
    service.post({"body": json.dumps({"query": f"Where is the {marker}?"})})
    service.post({"body": json.dumps({"query": "x", marker: 1})})
    said = service.said()
    assert '"route": "/rag"' in said
    assert '"key": "caller"' in said
    assert not any(secret in said for secret in (*SECRETS, marker))
    assert all(json.loads(line) for line in said.splitlines())
