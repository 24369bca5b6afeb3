"""Two edge hosts over SSH on the real engine with the real service: each has a network of its own that leads nowhere.

One `up` is shared; the tests of this file run in their order, and the last one takes the stack down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from infra.edge.hosts.transport import SshTransport
from tests.local_engine import ROOT, Engine, free_ports
from tests.real_processes import free_port, wait_until
from tests.ssh_hosts import IsolatedHost, lan, processes_under
from tests.system.test_local_stack import DOCUMENTS

pytestmark = pytest.mark.pulumi
LIMIT_S = 600


@dataclass(frozen=True)
class Fleet:
    engine: Engine
    hosts: tuple[IsolatedHost, IsolatedHost]

    def on_stack(self, command: str, *words: str, check: bool = True) -> str:
        return self.engine.on_stack(command, *words, check=check, limit_s=LIMIT_S)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("state")
    (home / "documents").mkdir()
    for name, text in DOCUMENTS.items():
        (home / "documents" / name).write_text(text)
    (home / "project").mkdir()
    (home / "project" / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    with lan(tmp_path_factory.mktemp("lan") / "n") as network, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{network.path}:{os.environ['PATH']}")
        hosts = (network.isolate("device-1"), network.isolate("device-2"))
        engine = Engine(f"hosts-{os.getpid()}", home, free_ports())
        engine.configure(hosts=[host.word for host in hosts])
        engine.run("stack", "init", engine.name, folder=home / "project")
        yield Fleet(engine, hosts)
        engine.on_stack("destroy", "--yes", "--skip-preview", check=False, limit_s=LIMIT_S)


@pytest.fixture(scope="module")
def up(fleet: Fleet) -> Fleet:
    """The first `up` is killed while it copies, the second goes on."""
    wheels = base(fleet, fleet.hosts[0]) / "wheels"
    first = fleet.engine.start("up", "--yes", "--skip-preview")
    wait_until(lambda: len([*wheels.glob("*.whl")]) > 10, within_s=300, what="copying")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    arrived = {path.name: path.stat().st_ino for path in wheels.glob("*.whl")}
    fleet.engine.run("cancel", "--yes", "--stack", fleet.engine.name, check=False)

    fleet.on_stack("up", "--yes", "--skip-preview")

    assert arrived.items() <= {path.name: path.stat().st_ino for path in wheels.glob("*.whl")}.items()
    return fleet


def base(fleet: Fleet, host: IsolatedHost) -> Path:
    return host.home / ".rag-platform" / fleet.engine.name


def pids(host: IsolatedHost) -> dict[str, int]:
    """Programs of the edge on a host, by their module."""
    found = {}
    for process in processes_under(host.home):
        words = process.cmdline()
        if "-m" in words and words[words.index("-m") + 1].startswith("service"):
            found[words[words.index("-m") + 1]] = process.pid
    return found


def ask(fleet: Fleet, host: IsolatedHost, path: str = "/search", query: str = "Where does it rain?") -> httpx.Response:
    with SshTransport(host.address).forwarded(fleet.engine.ports[0]) as port:
        return httpx.post(f"http://127.0.0.1:{port}{path}", json={"query": query}, trust_env=False, timeout=120)


def test_an_unreachable_host_stops_the_preview_in_one_line(fleet: Fleet) -> None:
    second = fleet.hosts[1]
    second.stop()
    try:
        said = fleet.on_stack("preview", check=False)
    finally:
        second.start()
    assert f"edge host {second.word} can't be reached: " in said
    assert f"try `{second.address.by_hand}`" in said
    assert "Traceback" not in said


def test_both_hosts_answer_from_their_own_bundle_without_any_network(up: Fleet) -> None:
    for host in up.hosts:
        assert ask(up, host).json()["results"][0]["title"] == "Weather"
        answer = ask(up, host, "/rag").json()
        assert answer["servedBy"] == "edge"


def test_a_second_up_has_nothing_to_do(up: Fleet) -> None:
    up.on_stack("preview", "--expect-no-changes")


def test_a_smoke_test_reaches_the_first_host_through_ssh(up: Fleet) -> None:
    done = subprocess.run(
        [str(Path(sys.prefix, "bin", "opsctl")), "smoke-test", "--stack", up.engine.name, "--output", "json"],
        cwd=ROOT,
        env=up.engine.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_host_that_is_not_well_stops_the_rest(up: Fleet) -> None:
    """A new port is taken on the first host: it keeps its settings, and the second is not touched."""
    first, second = up.hosts
    taken = free_port()
    before = pids(second)
    holder = f"import socket, time; s = socket.create_server(('127.0.0.1', {taken})); time.sleep(600)"
    with subprocess.Popen([*first.enter, sys.executable, "-c", holder]) as process:
        try:
            up.engine.configure(hosts=[host.word for host in up.hosts], port=taken)
            said = up.on_stack("up", "--yes", "--skip-preview", check=False)
        finally:
            process.kill()
            up.engine.configure(hosts=[host.word for host in up.hosts])
    assert f"error: edge host {first.word}: port {taken} (hybrid.edge.port) is taken by pid {process.pid}" in said
    assert "the settings from before run again" in said
    assert f"{second.name}-service" not in said.partition("Diagnostics:")[2]
    assert "Traceback" not in said
    assert pids(second) == before
    assert ask(up, first).is_success
    up.on_stack("preview", "--expect-no-changes")


def test_a_new_index_is_taken_over_by_both_without_a_failed_request(up: Fleet) -> None:
    before = [pids(host) for host in up.hosts]
    old = [(base(up, host) / "bundle" / "current").readlink().name for host in up.hosts]
    (up.engine.home / "documents" / "trains.md").write_text("# Trains\n\nThe night train to Bergen leaves at 23:25.\n")
    statuses: Counter[int | str] = Counter()
    over = threading.Event()
    with ExitStack() as stack:
        for host in up.hosts:
            port = stack.enter_context(SshTransport(host.address).forwarded(up.engine.ports[0]))
            asking = threading.Thread(target=keep_asking, args=(port, statuses, over))
            asking.start()
            stack.callback(asking.join)
        stack.callback(over.set)
        up.on_stack("up", "--yes", "--skip-preview")
        asked = statuses.total()
        wait_until(lambda: statuses.total() > asked + 20, within_s=60, what="requests after the update")
    assert set(statuses) == {200}
    assert statuses.total() > 100
    assert [pids(host) for host in up.hosts] == before
    for host, bundle in zip(up.hosts, old, strict=True):
        kept = {path.name for path in (base(up, host) / "bundle").iterdir() if not path.is_symlink()}
        assert bundle in kept
        assert len(kept) == 2
        titles = {hit["title"] for hit in ask(up, host, query="When does the night train leave?").json()["results"]}
        assert "Trains" in titles


def keep_asking(port: int, statuses: Counter[int | str], over: threading.Event) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120) as client:
        while not over.is_set():
            try:
                statuses[client.post("/search", json={"query": "Where does it rain?"}).status_code] += 1
            except httpx.HTTPError as exc:
                statuses[str(exc)] += 1
            over.wait(0.02)


def test_down_leaves_nothing_on_the_hosts(up: Fleet) -> None:
    up.on_stack("destroy", "--yes", "--skip-preview")
    for host in up.hosts:
        assert [*host.home.iterdir()] == []
        left = [process for process in processes_under(host.home) if "sshd" not in process.name()]
        assert left == []
