"""A model hub on loopback: the calls that the hub's own client makes to list a model and to read its files by range."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_planted"
IN_GIT_BYTES = 1000  # larger files are announced with their SHA-256, as the hub does for those in its large file store


@dataclass
class ModelHub:
    """`files` of the only model; `reads` are the ranges of them that were sent."""

    model: str
    files: dict[str, bytes]
    gated: bool = False
    url: str = ""
    reads: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path.startswith(f"/api/models/{self.model}/paths-info/"):
            asked = json.loads(body)["paths"]
            return _json([self._entry(name) for name in asked if name in self.files])
        if path.startswith(f"/api/models/{self.model}/tree/"):
            return _json([self._entry(name) for name in self.files])
        if path.startswith(f"/api/models/{self.model}"):
            siblings = [self._sibling(name) for name in self.files]
            return _json({"id": self.model, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})
        found = re.fullmatch(rf"/{re.escape(self.model)}/resolve/(?:{COMMIT}|main)/(.+)", path.partition("?")[0])
        if not found or found[1] not in self.files:
            return 404, {"X-Error-Code": "EntryNotFound" if found else "RepoNotFound"}, b"{}"
        if self.gated and headers.get("authorization") != f"Bearer {TOKEN}":
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        return self._range(found[1], headers.get("range"))

    def _range(self, name: str, asked: str | None) -> tuple[int, dict[str, str], bytes]:
        content = self.files[name]
        first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", asked or f"bytes=0-{len(content) - 1}").groups()  # type: ignore[union-attr]
        self.reads.append((name, f"{first}-{last}"))
        part = content[int(first) : int(last) + 1]
        about = {"ETag": f'"{self._entry(name)["oid"]}"', "X-Repo-Commit": COMMIT}  # what a download of the file asks
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(content)}", **about}, part

    def _sibling(self, name: str) -> dict[str, Any]:
        entry = self._entry(name)
        lfs = entry.get("lfs") and {"sha256": entry["lfs"]["oid"], "size": entry["size"], "pointerSize": 134}
        return {"rfilename": name, "size": entry["size"], "blobId": entry["oid"]} | ({"lfs": lfs} if lfs else {})

    def _entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}  # noqa: S324 - as git names it
        large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry | ({"lfs": large} if len(content) > IN_GIT_BYTES else {})


def _json(document: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, json.dumps(document).encode()


@contextmanager
def model_hub(model: str, files: dict[str, bytes], *, gated: bool = False) -> Iterator[ModelHub]:
    hub = ModelHub(model, files, gated)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, content = hub.answer(self.path, self.headers, body)
            self.send_response(status)
            for name, value in ({"content-length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
