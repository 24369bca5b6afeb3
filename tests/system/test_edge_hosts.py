"""Two edge hosts over SSH on the real engine with the real service: each has a network of its own that leads nowhere.

One `up` is shared; the tests of this file run in their order, and the last one takes the stack down.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from infra.edge.hosts.transport import SshTransport
from tests.local_engine import Engine, free_ports
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
    fleet.on_stack("up", "--yes", "--skip-preview")
    return fleet


def ask(fleet: Fleet, host: IsolatedHost, path: str = "/search") -> httpx.Response:
    with SshTransport(host.address).forwarded(fleet.engine.ports[0]) as port:
        question = {"query": "Where does it rain?"}
        return httpx.post(f"http://127.0.0.1:{port}{path}", json=question, trust_env=False, timeout=120)


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


def test_down_leaves_nothing_on_the_hosts(up: Fleet) -> None:
    up.on_stack("destroy", "--yes", "--skip-preview")
    for host in up.hosts:
        assert [*host.home.iterdir()] == []
        left = [process for process in processes_under(host.home) if "sshd" not in process.name()]
        assert left == []


assert threading
assert Counter
assert psutil
