"""Real processes that adapters are tested against, each started on a free port and stopped at the end."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
import uvicorn

START_S = 60.0

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream services {{ {servers} keepalive 32; }}
  server {{
    listen 127.0.0.1:{port}{tls};
    location / {{
      proxy_pass http://services;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      {more}
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Running:
    """A process that listens on loopback."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connections(self) -> int:
        """Sockets that clients hold open to it now."""
        held = psutil.Process(self.process.pid).net_connections("tcp")
        return sum(1 for one in held if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self.port)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def wait_until(happened: Callable[[], bool], *, within_s: float, what: str) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not happened():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        time.sleep(0.01)
    return time.monotonic() - began


@contextmanager
def running(
    command: Sequence[str | Path],
    port: int,
    *,
    ready: Callable[[], bool] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    arguments = [str(part) for part in command]
    process = subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    drain = threading.Thread(target=process.stdout.read, daemon=True) if process.stdout else None
    if drain:
        drain.start()  # a full pipe would stop the server
    try:
        wait_until(
            lambda: process.poll() is not None or (listens(port) and (ready is None or ready())),
            within_s=START_S,
            what=f"{command[0]} on port {port}",
        )
        assert process.poll() is None, f"{command[0]} ended with code {process.returncode}"
        yield Running(port, process)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if drain and process.stdout:
            drain.join()
            process.stdout.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def redis_server(*options: str) -> Iterator[Running]:
    binary = shutil.which("redis-server")
    assert binary, "redis-server is not installed: apt-get install redis-server"
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
    with running(command, port) as server:
        yield server


@contextmanager
def mongo_server(folder: Path) -> Iterator[Running]:
    """A server that speaks MongoDB's wire protocol; it ignores collations and asks for no password."""
    port = free_port()
    binary = Path(sys.executable).with_name("nx-27017")
    files = ["--log-file", folder / "nx.log", "--pid-file", folder / "nx.pid"]
    with running([binary, "--db", "memory", "--port", str(port), *files], port) as server:
        yield server


@contextmanager
def nginx(folder: Path, *upstreams: int, tls: str = "", more: str = "") -> Iterator[Running]:
    """A load balancer over services, with kept connections; it sends no request twice that a service may have begun.

    `tls` is what its server says of certificate and protocols; without it, it speaks plain HTTP. `more` says how it
    passes requests on.
    """
    binary = shutil.which("nginx")
    assert binary, "nginx is not installed: apt-get install nginx-light"
    port = free_port()
    servers = "".join(f"server 127.0.0.1:{upstream} max_fails=0; " for upstream in upstreams)
    spoken = f" ssl; {tls.rstrip(';')}" if tls else ""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, servers=servers, tls=spoken, more=more))
    with running([binary, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"], port) as server:
        yield server


@contextmanager
def service(settings: Mapping[str, object], *prefix: str) -> Iterator[Running]:
    """The service on a free port with `settings` as its environment, once it is ready; `prefix` starts it."""
    told = {"RAG_PORT": free_port(), "RAG_METRICS_PORT": 0} | dict(settings)
    port = int(str(told["RAG_PORT"]))
    environment = [f"{name}={value}" for name, value in told.items()]

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
        except httpx.TransportError:  # it listens before it answers
            return False

    with running([*prefix, "env", *environment, sys.executable, "-m", "service"], port, ready=ready) as process:
        yield process


@contextmanager
def llama_server(*, context_tokens: int) -> Iterator[str]:
    """llama.cpp's server with the smallest model; yields its URL once the model is loaded."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    module = ["-m", "service.adapters.llamacpp_server", "--model", "smollm2-135m-instruct"]
    options = ["--port", str(port), "--context", str(context_tokens), "--threads", "1"]

    def loaded() -> bool:
        return httpx.get(f"{url}/health", trust_env=False).is_success

    with running([sys.executable, *module, *options], port, ready=loaded):
        yield url


class CountingSocket(socket.socket):
    """A listening socket that knows how many connections it was asked for."""

    accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        connection = super().accept()
        self.accepted += 1
        return connection


@dataclass(frozen=True)
class HttpServer:
    """An ASGI app on a real port."""

    url: str
    listener: CountingSocket

    @property
    def accepted(self) -> int:
        return self.listener.accepted


@dataclass
class Door:
    """A server that outlives tests: each puts its own app behind it."""

    server: HttpServer | None = None
    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    @contextmanager
    def opened(self, app: Any) -> Iterator[HttpServer]:
        assert self.server is not None
        self.app, self.server.listener.accepted = app, 0
        yield self.server


@contextmanager
def serve(app: Any, *, lifespan: Literal["on", "off"] = "off") -> Iterator[HttpServer]:
    """Run an ASGI app in a thread with an event loop of its own."""
    listener = CountingSocket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets it only on sockets that name their protocol; without it a kept connection waits 40 ms per answer.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan=lifespan, ws="none", log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, within_s=10, what="HTTP server")
        yield HttpServer(f"http://127.0.0.1:{listener.getsockname()[1]}", listener)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
