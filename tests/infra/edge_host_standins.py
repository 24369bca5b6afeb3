"""A checkout that is small enough to be installed on a host in seconds: real code of the edge, few packages, stand-ins
for the service and its jobs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from tests.infra.edge_standins import program, service_props, write_jobs

ROOT = Path(__file__).parents[2]
# What `infra.edge.on_host` imports, and what that needs.
PACKAGES = (
    "annotated-types",
    "anyio",
    "certifi",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "psutil",
    "pydantic",
    "pydantic-core",
    "setuptools",
    "supervisor",
    "tenacity",
    "typing-extensions",
    "typing-inspection",
)

# Answers like the service where it is asked whether it is ready and which bundle it serves; takes over like it.
SERVICE = """
import http.server, os, pathlib, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        bundle = pathlib.Path(os.environ.get("RAG_BUNDLE_DIR", "."), "current").resolve().name
        said = 'bundle_info{id="%s"} 1' % bundle if self.path == "/metrics" else os.environ.get("COLOUR", "none")
        self.send_response(503 if "--busy" in sys.argv else 200)
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_):
        pass

if "--say" in sys.argv:
    print(sys.argv[sys.argv.index("--say") + 1], file=sys.stderr)
    sys.exit(78)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def lock_of(*names: str) -> str:
    """The entries of the edge's lock for these packages, hashes included."""
    entries = re.findall(r"^(\S+?)==.*(?:\n    .*)*", (ROOT / "requirements/edge.txt").read_text(), re.MULTILINE)
    whole = re.finditer(r"^(\S+?)==.*(?:\n    .*)*\n", (ROOT / "requirements/edge.txt").read_text(), re.MULTILINE)
    found = {entry[1].partition("[")[0]: entry[0] for entry in whole}
    assert set(names) - {"setuptools"} <= set(found), entries
    return "".join(found[name] for name in names if name in found)


def write_checkout(root: Path) -> None:
    """A project root for EdgeInstallProvider."""
    requirements = root / "requirements"
    requirements.mkdir()
    (requirements / "edge.txt").write_text(lock_of(*PACKAGES))
    (requirements / "models.txt").write_text("")
    shutil.copy(ROOT / "requirements/uv.txt", requirements / "uv.txt")
    write_jobs(root)
    (root / "service" / "standin.py").write_text(SERVICE)
    shutil.copytree(ROOT / "infra/edge", root / "infra/edge", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "infra" / name, root / "infra" / name)


def write_bundle(root: Path, name: str, text: str) -> str:
    """A bundle on the operator's machine; its path relative to the root."""
    folder = root / name
    folder.mkdir()
    (folder / "index.faiss").write_text(text)
    (folder / "chunks.sqlite").write_text(text)
    files = {file: hashlib.sha256(text.encode()).hexdigest() for file in ("index.faiss", "chunks.sqlite")}
    manifest = {"files": files, "created": "2026-01-02T03:04:05+00:00"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return name


def install_props(host: str, bundle: str, **changes: Any) -> dict[str, Any]:
    return {"host": host, "home": ".rag-platform/test", "model": "built-in", "bundlePath": bundle, **changes}


def host_program(name: str, base: str, port: int, *args: str) -> dict[str, Any]:
    words = ["-m", "service.standin", str(port), *args]
    return program(name) | {"args": words, "environment": {"RAG_BUNDLE_DIR": f"{base}/bundle"}}


def host_props(host: str, release: dict[str, str], ports: tuple[int, int], **changes: Any) -> dict[str, Any]:
    """Inputs of EdgeService for two stand-ins on a host."""
    llama, service = ports
    base = release["base"]
    return service_props(
        llama,
        service,
        **{
            "home": ".rag-platform/test",
            "host": host,
            "release": release,
            "metricsUrl": f"http://127.0.0.1:{service}/metrics",
            "programs": [host_program("llama", base, llama), host_program("service", base, service)],
            **changes,
        },
    )
