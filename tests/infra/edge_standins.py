"""Stand-ins for the service's programs and jobs, small enough to start in no time; real processes all the same."""

from __future__ import annotations

import socket
import textwrap
from pathlib import Path
from typing import Any

# Answers 200 to everything; `--child` has a child process; `--say` prints a line and ends with code 78.
SERVER = """
import http.server, os, subprocess, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if "--busy" in sys.argv else 200)
        self.end_headers()
        self.wfile.write(os.environ.get("COLOUR", "none").encode())

    def log_message(self, *_):
        pass

if "--say" in sys.argv:
    print(sys.argv[sys.argv.index("--say") + 1], file=sys.stderr)
    sys.exit(78)
if "--child" in sys.argv:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

# Copies its input's bytes into a bundle; a document that says so makes it fail.
INGEST = """
import hashlib, json, pathlib, sys

arguments = sys.argv[1:]
out = pathlib.Path(arguments[arguments.index("--out") + 1])
source = pathlib.Path(arguments[0]) if not arguments[0].startswith("--") else None
text = "demo" if source is None else "".join(path.read_text() for path in sorted(source.rglob("*.md")))
print("embed 1/1", file=sys.stderr)
out.mkdir(parents=True)
if "broken" in text:
    print("ingest: the documents are broken", file=sys.stderr)
    sys.exit(1)
(out / "index.faiss").write_text(text)
digest = hashlib.sha256(text.encode()).hexdigest()
manifest = {"formatVersion": 1, "embeddingModel": "stand-in", "dimension": 384, "count": 7, "recallAt10": 0.99,
            "files": {"index.faiss": digest}}
(out / "manifest.json").write_text(json.dumps(manifest))
print(json.dumps(manifest))
"""

VERIFY = """
import hashlib, json, pathlib, sys

out = pathlib.Path(sys.argv[1])
if not (out / "manifest.json").exists():
    sys.exit(f"verify_bundle: no bundle at {out}")
manifest = json.loads((out / "manifest.json").read_text())
if hashlib.sha256((out / "index.faiss").read_bytes()).hexdigest() != manifest["files"]["index.faiss"]:
    sys.exit(f"verify_bundle: {out / 'index.faiss'} is corrupt")
print(json.dumps(manifest))
"""


def write_jobs(root: Path) -> None:
    """`python -m service.jobs.*` started in `root` finds these instead of the real ones."""
    jobs = root / "service" / "jobs"
    jobs.mkdir(parents=True)
    for folder in (jobs.parent, jobs):
        (folder / "__init__.py").touch()
    (jobs / "ingest.py").write_text(INGEST)
    (jobs / "verify_bundle.py").write_text(VERIFY)


def write_server(root: Path) -> None:
    (root / "server.py").write_text(textwrap.dedent(SERVER))


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def program(name: str, *args: str, colour: str = "none") -> dict[str, Any]:
    return {
        "name": name,
        "args": ["server.py", *args],
        "environment": {"COLOUR": colour},
        "stopWaitS": 5,
        "fix": f"see {name}.key in the stack config",
    }


def service_props(llama_port: int, service_port: int, **changes: Any) -> dict[str, Any]:
    """Inputs of EdgeService for two stand-ins."""
    return {
        "home": ".edge/test",
        "programs": [program("llama", str(llama_port)), program("service", str(service_port))],
        "listen": [
            {"key": "hybrid.edge.llmPort", "host": "127.0.0.1", "port": llama_port},
            {"key": "hybrid.edge.port", "host": "127.0.0.1", "port": service_port},
        ],
        "readyUrl": f"http://127.0.0.1:{service_port}/readyz",
        "startSeconds": 30.0,
        **changes,
    }
