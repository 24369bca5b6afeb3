"""Nothing is lost: behind a load balancer two replicas are replaced one by one, and one is killed, under load."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from opsctl.load.driver import Plan, drive
from opsctl.load.outcome import GOOD
from opsctl.load.record import Record
from opsctl.load.request import Asking
from opsctl.load.schedule import steady
from opsctl.load.target import Target
from tests.real_processes import Running, nginx, redis_server, serve, service
from tests.scripted_openai import ScriptedOpenAI

REQUESTS = 5200
PER_S = 80.0
QUESTIONS = tuple(f"What keeps processes up, case {number}?" for number in range(20))
# A request only reads, so one that died with its replica may be asked of the other. No kept connections of clients: a
# reload of nginx closes them, as no real balancer does when a target comes or goes.
AGAIN = "proxy_next_upstream error timeout non_idempotent; proxy_connect_timeout 2s; keepalive_timeout 0;"


@dataclass
class Deployment:
    """Replicas that come and go behind one balancer, as a control plane tells it."""

    settings: dict[str, object]
    balancer: Running | None = None
    folder: Path = Path()
    replicas: dict[int, ExitStack] = field(default_factory=dict)
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> int:
        held = ExitStack()
        replica = held.enter_context(service(self.settings))
        self.replicas[replica.port], self.processes[replica.port] = held, replica.process
        return replica.port

    def route(self, *ports: int) -> None:
        """New connections go to `ports` alone once the balancer's old workers have been told."""
        assert self.balancer is not None
        file = self.folder / "nginx.conf"
        lines = [f"server 127.0.0.1:{port} max_fails=0; " for port in ports]
        head, _, rest = file.read_text().partition("upstream services {")
        file.write_text(f"{head}upstream services {{ {''.join(lines)}keepalive 32;{rest.partition('keepalive 32;')[2]}")
        self.balancer.process.send_signal(signal.SIGHUP)
        time.sleep(1)  # a balancer hears of a target a moment later than the one who tells it

    def end(self, port: int) -> None:
        """SIGTERM, and wait until the drained process is gone."""
        self.replicas.pop(port).close()

    def kill(self, port: int) -> None:
        self.processes[port].kill()
        self.replicas.pop(port).close()


@contextmanager
def deployed(bundle: Path, folder: Path) -> Iterator[Deployment]:
    with ExitStack() as held:
        redis = held.enter_context(redis_server())
        model = held.enter_context(serve(ScriptedOpenAI().app()))
        made = Deployment(
            {
                "RAG_VECTOR_STORE": "faiss",
                "RAG_BUNDLE_DIR": bundle,
                "RAG_SERVED_BY": "edge",
                "RAG_PRIVACY": "allow-cloud",
                "RAG_MIN_SCORE": "-1",
                "RAG_GENERATOR": "openai",
                "OPENAI_API_KEY": "of-a-stub",
                "OPENAI_BASE_URL": f"{model.url}/v1",
                "RAG_QUERY_MODEL": "none",
                "RAG_CACHE": "redis",
                "RAG_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
                "RAG_REDIS_TIMEOUT_S": "5",
                "RAG_SEARCH_TIMEOUT_S": "20",  # patient: the question is what is lost, not how fast it comes
                "RAG_MAX_IN_FLIGHT": "500",
            },
            folder=folder,
        )
        held.callback(lambda: [each.close() for each in made.replicas.values()])
        ports = [made.start(), made.start()]
        made.balancer = held.enter_context(nginx(folder, *ports, more=AGAIN))
        yield made


def under_load(balancer: Running, change: threading.Thread) -> Record:
    plan = Plan(
        Target(balancer.url),
        steady(PER_S, REQUESTS / PER_S, arrivals="even"),
        QUESTIONS,
        Asking(timeout_s=60),
        zipf_exponent=1.0,
    )
    change.start()
    record = asyncio.run(drive(plan))
    change.join()
    return record


def test_no_request_is_lost_while_a_deployment_rolls_and_while_a_replica_dies(
    one_document: Path, tmp_path: Path
) -> None:
    with deployed(one_document, tmp_path) as deployment:
        done: list[str] = []

        def change() -> None:
            for old in tuple(deployment.replicas):
                time.sleep(2)
                new = deployment.start()  # maximum surge 1, maximum unavailable 0
                deployment.route(*(port for port in deployment.replicas if port != old))
                deployment.end(old)
                done.append(f"{old} -> {new}")
            time.sleep(2)
            victim = next(iter(deployment.replicas))
            deployment.kill(victim)
            done.append(f"{victim} killed")
            time.sleep(1)
            deployment.route(*deployment.replicas)
            deployment.start()
            deployment.route(*deployment.replicas)
            done.append("replaced")

        assert deployment.balancer is not None
        record = under_load(deployment.balancer, threading.Thread(target=change))
        assert len(done) == 4, done
    failed = {str(outcome): seen.count for outcome, seen in record.total.latencies.items() if outcome not in GOOD}
    assert record.total.count() >= 5000
    assert failed == {}
