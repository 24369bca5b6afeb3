"""L8: two replicas behind nginx are replaced one by one under load, and nobody notices."""

from __future__ import annotations

import shutil
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING

from figures import Figure, Skipped
from processes import environ, free_port, server

from load.stack import Service, drive_all, plan, service
from opsctl.load.outcome import GOOD
from opsctl.load.schedule import Phase, Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

    from load.stack import Model

REPLICAS = 2
LEAST_REQUESTS = 1000
SHARE = 0.25  # of C: while a replica starts, all of them share two cores with it
SETTLE_S = 3.0
LATE_S = 0.5  # a balancer hears of a replica's end after the replica does
CONFIG = """
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  upstream replicas {{ {servers} keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_next_upstream error; proxy_connect_timeout 2s; proxy_buffering off;
    }}
  }}
}}
"""


@dataclass
class Balancer:
    """An nginx that is told which replicas there are, as a load balancer's control plane tells it."""

    home: Path
    port: int
    replicas: list[int]
    process: psutil.Process | None = None

    def route(self) -> None:
        """Send what comes from now on to `replicas`."""
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in self.replicas)
        config = CONFIG.format(home=self.home, servers=servers, port=self.port)
        (self.home / "nginx.conf").write_text(config, encoding="utf-8")
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    @property
    def service(self) -> Service:
        """What clients see."""
        assert self.process is not None  # noqa: S101 - it runs
        return Service(f"http://127.0.0.1:{self.port}", self.process)


def nginx() -> str:
    """The program.

    Raises:
        Skipped: it is not installed.
    """
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        raise Skipped("nginx is not installed: apt-get install nginx-light")
    return binary


def measure(nginx: str, bundle: Path, model: Model, held: float) -> list[Figure]:
    """SIGTERM to one replica, a new one in its place, then the same with the other, under steady load."""
    rate = SHARE * held
    schedule = Schedule(phases=(Phase(name="soak", per_s=rate, seconds=1.05 * LEAST_REQUESTS / rate),))
    replaced: list[int] = []
    with ExitStack() as stack:
        replicas = [stack.enter_context(ExitStack()) for _ in range(REPLICAS)]
        ports = [_start(replica, bundle, model) for replica in replicas]
        balancer = stack.enter_context(_running(nginx, ports))

        def roll() -> None:
            for replica, port in zip(replicas, ports.copy(), strict=True):
                sleep(SETTLE_S)
                threading.Timer(LATE_S, _withdraw, (balancer, port)).start()
                replica.close()  # SIGTERM, and wait until the drained process is gone
                balancer.replicas.append(_start(replica, bundle, model))
                balancer.route()
                replaced.append(port)

        rolling = threading.Thread(target=roll)
        rolling.start()
        stack.callback(rolling.join)
        record = drive_all(plan(balancer.service, schedule))[0]
        in_time = len(replaced)
    total = record.total.count()
    return [
        Figure("L8 failed while both replicas were replaced", total - record.total.count(GOOD), "requests", at_most=0),
        Figure("L8 requests", total, "requests", at_least=LEAST_REQUESTS),
        Figure("L8 replicas replaced meanwhile", in_time, "", at_least=REPLICAS),
        Figure("L8 p99", record.total.of(GOOD).percentile_ms(99), "ms"),
    ]


def _start(replica: ExitStack, bundle: Path, model: Model) -> int:
    """A replica on a port of its own, ready; on whichever core is free, since a new one starts beside the old."""
    started = replica.enter_context(service(bundle, model, pinned=False))
    return int(started.url.rpartition(":")[2])


def _withdraw(balancer: Balancer, port: int) -> None:
    balancer.replicas.remove(port)
    balancer.route()


@contextmanager
def _running(binary: str, replicas: list[int]) -> Iterator[Balancer]:
    with TemporaryDirectory(prefix="rag-nginx-") as folder:
        balancer = Balancer(Path(folder), free_port(), replicas.copy())
        balancer.route()
        command = [binary, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        with server(command, f"http://127.0.0.1:{balancer.port}/readyz", environ()) as balancer.process:
            yield balancer
