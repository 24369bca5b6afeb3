"""EdgeService against a real supervisord and real processes; only the programs are stand-ins."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dill
import httpx
import psutil
import pytest
from pulumi.output import Unknown

from infra.edge.errors import EdgeError, StartError
from infra.edge.layout import RunFolder
from infra.edge.service import EdgeServiceProvider
from infra.edge.supervisor_rpc import states
from infra.edge.waiting import until
from tests.infra.edge_standins import free_ports, program, service_props, write_server

if TYPE_CHECKING:
    from collections.abc import Iterator

Props = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    write_server(tmp_path)
    yield tmp_path
    for process in processes_of(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def provider(root: Path) -> EdgeServiceProvider:
    return EdgeServiceProvider(str(root))


@pytest.fixture
def props() -> Props:
    return service_props(*free_ports(2))


@pytest.fixture
def running(provider: EdgeServiceProvider, props: Props) -> Iterator[Props]:
    outs = provider.create(props).outs
    assert outs is not None
    yield outs
    provider.delete("x", outs)


def processes_of(root: Path) -> list[psutil.Process]:
    """Everything that runs in `root` or was started for it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and str(root) in (process.cwd(), *process.environ().values()):
                found.append(process)
    return found


def socket_of(root: Path) -> Path:
    return RunFolder(root / ".edge" / "test" / "run").socket


def pids(root: Path) -> dict[str, int]:
    return {state.name: state.pid for state in states(socket_of(root))}


def answer(props: Props) -> str:
    return httpx.get(props["readyUrl"], trust_env=False).text


def supervisord(root: Path) -> psutil.Process:
    return psutil.Process(int((root / ".edge/test/run/supervisord.pid").read_text()))


def test_create_answers_and_delete_leaves_no_process_port_or_file(
    provider: EdgeServiceProvider, props: Props, root: Path
) -> None:
    outs = provider.create(props).outs
    assert outs is not None
    assert answer(outs) == "none"
    assert {process.name() for process in processes_of(root)}

    provider.delete("x", outs)

    assert not processes_of(root)
    assert not (root / ".edge").exists()
    for listen in props["listen"]:
        socket.create_server((listen["host"], listen["port"])).close()


def test_a_second_up_changes_nothing(provider: EdgeServiceProvider, running: Props, props: Props) -> None:
    assert provider.check(running, props).failures == []
    assert provider.diff("x", running, props).changes is False
    assert provider.read("x", running).outs == running


@pytest.mark.parametrize("name", ["llama", "service"])
def test_a_killed_program_comes_back(running: Props, root: Path, name: str) -> None:
    before = pids(root)

    os.kill(before[name], signal.SIGKILL)

    assert until(lambda: pids(root)[name] not in {0, before[name]}, 10)
    others = {other: pid for other, pid in before.items() if other != name}
    assert others.items() <= pids(root).items()


def test_an_update_restarts_only_what_changed(
    provider: EdgeServiceProvider, running: Props, props: Props, root: Path
) -> None:
    before = pids(root)
    llama, service = props["programs"]
    news = {**props, "programs": [llama, {**service, "environment": {"COLOUR": "blue"}}]}
    assert provider.diff("x", running, news).changes is True

    outs = provider.update("x", running, news).outs

    after = pids(root)
    assert after["llama"] == before["llama"]
    assert after["service"] != before["service"]
    assert until(lambda: answer(news) == "blue", 5)
    assert provider.diff("x", outs, news).changes is False


def test_a_value_that_is_known_only_later_is_a_change_in_the_preview(
    provider: EdgeServiceProvider, running: Props, props: Props
) -> None:
    llama, service = props["programs"]
    news = {**props, "programs": [llama, {**service, "environment": {"COLOUR": Unknown()}}]}
    assert provider.check(running, news).failures == []
    assert provider.diff("x", running, news).changes is True


def test_a_dead_supervisord_is_noticed_and_an_update_repairs_it(
    provider: EdgeServiceProvider, running: Props, props: Props, root: Path
) -> None:
    orphans = pids(root)
    supervisord(root).kill()

    assert until(lambda: provider.read("x", running).outs["state"] == "supervisord is not running", 5)
    assert provider.diff("x", running, props).changes is True
    provider.update("x", running, props)

    assert provider.diff("x", running, props).changes is False
    assert not set(orphans.values()) & set(pids(root).values())
    assert len(processes_of(root)) == 3


def test_deleted_files_do_not_hide_the_running_programs(
    provider: EdgeServiceProvider, running: Props, props: Props, root: Path
) -> None:
    shutil.rmtree(root / ".edge")
    assert provider.check(running, props).failures == []
    assert provider.diff("x", running, props).changes is True

    provider.update("x", running, props)

    assert answer(props) == "none"
    assert len(processes_of(root)) == 3


def test_a_stopped_program_is_noticed_and_started(
    provider: EdgeServiceProvider, running: Props, props: Props, root: Path
) -> None:
    from infra.edge import supervisor_rpc

    with supervisor_rpc.connected(socket_of(root)) as supervisor:
        supervisor.stopProcess("llama")
    assert provider.read("x", running).outs["state"] == "llama is STOPPED"

    provider.update("x", running, props)

    assert provider.read("x", running).outs["state"] == "running"


def test_a_supervisord_that_hangs_is_ended_all_the_same(
    provider: EdgeServiceProvider, props: Props, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.edge.supervisor_rpc.ANSWER_S", 0.5)
    outs = provider.create(props).outs
    supervisord(root).suspend()

    provider.delete("x", outs)

    assert not processes_of(root)


def test_a_taken_port_is_reported_with_its_holder_and_its_key(
    provider: EdgeServiceProvider, props: Props, root: Path
) -> None:
    port = props["listen"][1]["port"]
    with socket.create_server(("127.0.0.1", port)):
        (failure,) = provider.check({}, props).failures
        with pytest.raises(EdgeError, match=f"port {port}"):
            provider.create(props)
    assert failure.reason.startswith(f"port {port} (hybrid.edge.port) is taken by pid {os.getpid()}")
    assert "`pulumi config set --path hybrid.edge.port PORT`" in failure.reason
    assert not (root / ".edge").exists()


def test_an_address_that_the_host_lacks_names_the_key_that_sets_it(provider: EdgeServiceProvider, props: Props) -> None:
    elsewhere = {"key": "hybrid.edge.port", "host": "192.0.2.1", "port": 8080}
    (failure,) = provider.check({}, {**props, "listen": [elsewhere]}).failures
    assert failure.reason.startswith("192.0.2.1:8080: ")
    assert "hybrid.edge.bind" in failure.reason


def test_a_program_that_does_not_start_is_one_line_and_leaves_nothing(
    provider: EdgeServiceProvider, props: Props, root: Path
) -> None:
    _, service = props["programs"]
    broken = program("llama", "0", "--say", "no model 'x'")

    with pytest.raises(StartError) as failure:
        provider.create({**props, "programs": [broken, service]})

    assert str(failure.value) == "llama did not start: no model 'x'; see llama.key in the stack config"
    assert not processes_of(root)
    assert not (root / ".edge").exists()


def test_a_service_that_never_becomes_ready_is_given_up_in_time(
    provider: EdgeServiceProvider, props: Props, root: Path
) -> None:
    llama, _ = props["programs"]
    busy = program("service", str(props["listen"][1]["port"]), "--busy")
    begin = time.monotonic()

    with pytest.raises(StartError, match="did not become ready within 2 s, it says: 503"):
        provider.create({**props, "programs": [llama, busy], "startSeconds": 2})

    assert time.monotonic() - begin < 20
    assert not processes_of(root)


def test_a_failed_update_puts_the_settings_from_before_back(
    provider: EdgeServiceProvider, running: Props, props: Props, root: Path
) -> None:
    llama = pids(root)["llama"]
    broken = {**props, "programs": [props["programs"][0], program("service", "0", "--say", "no such bundle")]}

    with pytest.raises(EdgeError, match=r"no such bundle.*the settings from before run again"):
        provider.update("x", running, broken)

    assert until(lambda: provider.read("x", running).outs["state"] == "running", 10)
    assert answer_again(props)
    assert pids(root)["llama"] == llama


def answer_again(props: Props) -> bool:
    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return answer(props) == "none"
        return False

    return until(answers, 10)


def test_children_of_a_program_end_with_it(provider: EdgeServiceProvider, props: Props, root: Path) -> None:
    llama, _ = props["programs"]
    parent = program("service", str(props["listen"][1]["port"]), "--child")
    outs = provider.create({**props, "programs": [llama, parent]}).outs
    assert until(lambda: len(processes_of(root)) == 4, 5)

    provider.delete("x", outs)

    assert not processes_of(root)


def test_two_stacks_on_one_host_do_not_meet(provider: EdgeServiceProvider, running: Props, root: Path) -> None:
    other = service_props(*free_ports(2), home=".edge/other")
    outs = provider.create(other).outs
    assert answer(other) == answer(running) == "none"

    provider.delete("x", outs)

    assert answer(running) == "none"
    assert [path.name for path in (root / ".edge").iterdir()] == ["test"]


def test_a_long_path_moves_the_socket_and_leaves_nothing_either(root: Path, props: Props) -> None:
    deep = root / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    write_server(deep)
    provider = EdgeServiceProvider(str(deep))
    outs = provider.create(props).outs
    assert answer(props) == "none"
    short = socket_of(deep)
    assert short.parent.stat().st_mode & 0o777 == 0o700

    provider.delete("x", outs)

    assert not short.parent.exists()
    assert not (deep / ".edge").exists()


def test_a_foreign_folder_where_the_socket_would_be_is_refused(root: Path, props: Props) -> None:
    deep = root / ("d" * 120)
    deep.mkdir()
    folder = socket_of(deep).parent
    folder.symlink_to(root)
    try:
        with pytest.raises(EdgeError, match="remove it"):
            EdgeServiceProvider(str(deep)).create(props)
    finally:
        folder.unlink(missing_ok=True)


def test_the_provider_is_in_the_state_by_reference_and_without_a_path() -> None:
    pickled = dill.dumps(EdgeServiceProvider(), recurse=True)
    assert len(pickled) < 200
    assert os.fsencode(Path.cwd()) not in pickled
