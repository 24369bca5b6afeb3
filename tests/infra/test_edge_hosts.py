"""EdgeInstall and EdgeService on hosts behind real sshds; packages are few and the programs stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.edge.errors import EdgeError, UnreachableError
from infra.edge.hosts.install import EdgeInstallProvider
from infra.edge.hosts.transport import SshTransport
from infra.edge.service import EdgeServiceProvider
from tests.infra.edge_host_standins import host_program, host_props, install_props, write_bundle, write_checkout
from tests.infra.edge_standins import free_ports
from tests.ssh_hosts import Lan, SshHost, lan, processes_under

Props = dict[str, Any]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    with lan(tmp_path_factory.mktemp("lan") / "n") as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{found.path}:{os.environ['PATH']}")
        yield found


@pytest.fixture(scope="module")
def device(network: Lan) -> SshHost:
    return network.add("device")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("checkout")
    write_checkout(checkout)
    write_bundle(checkout, "bundle-1", "first")
    return checkout


@pytest.fixture(scope="module")
def installer(root: Path) -> EdgeInstallProvider:
    return EdgeInstallProvider(str(root))


@pytest.fixture(scope="module")
def installed(installer: EdgeInstallProvider, device: SshHost) -> Iterator[Props]:
    outs = install(installer, install_props(device.word, "bundle-1"))
    yield outs
    installer.delete("x", outs)


def install(installer: EdgeInstallProvider, props: Props) -> Props:
    checked = installer.check({}, props)
    assert checked.failures == []
    outs = installer.create(checked.inputs).outs
    assert outs is not None
    return outs


@pytest.fixture(scope="module")
def services() -> EdgeServiceProvider:
    return EdgeServiceProvider()


@pytest.fixture(scope="module")
def running(services: EdgeServiceProvider, installed: Props, device: SshHost) -> Iterator[Props]:
    outs = services.create(host_props(device.word, installed["release"], ports())).outs
    assert outs is not None
    yield outs
    services.delete("x", outs)


def ports() -> tuple[int, int]:
    first, second = free_ports(2)
    return first, second


def answer(props: Props) -> str:
    return httpx.get(props["readyUrl"], trust_env=False).text


def serving(props: Props) -> str:
    return httpx.get(props["metricsUrl"], trust_env=False).text.partition('id="')[2].partition('"')[0]


def base(device: SshHost) -> Path:
    return device.home / ".rag-platform" / "test"


def test_an_install_brings_everything_privately_and_a_delete_leaves_nothing(
    installer: EdgeInstallProvider, device: SshHost
) -> None:
    outs = install(installer, install_props(device.word, "bundle-1", home=".rag-platform/other"))
    release, other = outs["release"], base(device).with_name("other")
    assert release["base"] == str(other)
    assert other.stat().st_mode & 0o777 == 0o700
    code = "import infra.edge.on_host, sys; print([name for name in sys.modules if 'pulumi' in name], sys.prefix)"
    python = other / release["env"] / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=other / release["app"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"[] {other / release['env']}"
    assert (other / "bundle" / release["bundle"] / "index.faiss").read_text() == "first"
    assert (outs["machine"], outs["modelPath"]) == (os.uname().machine, "built-in")

    installer.delete("x", outs)

    assert not other.exists()


def test_a_second_up_changes_nothing(
    installer: EdgeInstallProvider, installed: Props, services: EdgeServiceProvider, running: Props
) -> None:
    again = installer.check(installed, install_props(installed["host"], "bundle-1"))
    assert installer.diff("x", installed, again.inputs).changes is False
    assert installer.read("x", installed).outs == installed
    news = {key: value for key, value in running.items() if key != "state"}
    assert services.diff("x", running, news).changes is False
    assert services.read("x", running).outs == running


def test_an_update_of_the_index_alone_restarts_nothing_and_keeps_the_old_bundle(
    installer: EdgeInstallProvider,
    installed: Props,
    services: EdgeServiceProvider,
    running: Props,
    root: Path,
    device: SshHost,
) -> None:
    write_bundle(root, "bundle-2", "second")
    news = installer.check(installed, install_props(device.word, "bundle-2")).inputs
    assert installer.diff("x", installed, news).changes is True
    outs = installer.update("x", installed, news).outs
    assert outs["release"]["env"] == installed["release"]["env"]
    assert serving(running) == installed["release"]["bundle"]
    before = pids(device)

    updated = services.update("x", running, {**running, "release": outs["release"]}).outs

    assert serving(running) == outs["release"]["bundle"] != installed["release"]["bundle"]
    assert pids(device) == before
    written = json.loads((base(device) / "release.json").read_text())
    assert written == {"current": outs["release"], "previous": installed["release"]}
    kept = {path.name for path in (base(device) / "bundle").iterdir()}
    assert kept == {"current", installed["release"]["bundle"], outs["release"]["bundle"]}
    services.update("x", updated, updated)  # what was taken back by hand stays so
    back(device, installed["release"]["bundle"])
    services.update("x", updated, updated)
    assert serving(running) == installed["release"]["bundle"]
    services.update("x", updated, running)


def back(device: SshHost, bundle: str) -> None:
    link = base(device) / "bundle" / "current"
    link.unlink()
    link.symlink_to(bundle)


def pids(device: SshHost) -> set[int]:
    return {process.pid for process in processes_under(device.home) if "service.standin" in process.cmdline()}


def test_what_an_interrupted_up_left_is_gone_on_with(
    installer: EdgeInstallProvider, device: SshHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = base(device).with_name("interrupted")
    props = installer.check({}, install_props(device.word, "bundle-1", home=".rag-platform/interrupted")).inputs
    real, calls = SshTransport.run, []

    def flaky(self: SshTransport, command: Any, **options: Any) -> Any:
        calls.append(command)
        if len(calls) == 9:
            raise UnreachableError("cut")
        return real(self, command, **options)

    monkeypatch.setattr(SshTransport, "run", flaky)
    with pytest.raises(UnreachableError):
        installer.create(props)
    arrived = {path.name: path.stat().st_ino for path in (other / "wheels").iterdir()}
    assert arrived
    monkeypatch.undo()

    outs = installer.create(props).outs

    now = {path.name: path.stat().st_ino for path in (other / "wheels").iterdir()}
    assert arrived.items() <= now.items()
    installer.delete("x", outs)


def test_a_changed_lock_installs_beside_and_copies_only_what_changed(
    installer: EdgeInstallProvider, installed: Props, root: Path, device: SshHost
) -> None:
    wheels = {path: path.stat().st_ino for path in (base(device) / "wheels").glob("*.whl")}
    lock = root / "requirements" / "edge.txt"
    text = lock.read_text()
    lock.write_text(f"{text}# another\n")
    try:
        news = installer.check(installed, install_props(device.word, "bundle-1")).inputs
        assert installer.diff("x", installed, news).changes is True
        outs = installer.update("x", installed, news).outs
    finally:
        lock.write_text(text)

    assert outs["release"]["env"] != installed["release"]["env"]
    assert {path: path.stat().st_ino for path in (base(device) / "wheels").glob("*.whl")} == wheels
    old, new = (base(device) / one["release"]["env"] for one in (installed, outs))
    (module,) = old.glob("lib/*/site-packages/tenacity/__init__.py")
    assert module.stat().st_ino == (new / module.relative_to(old)).stat().st_ino


def test_what_a_host_has_lost_is_brought_again(
    installer: EdgeInstallProvider, installed: Props, device: SshHost
) -> None:
    shutil.rmtree(base(device) / installed["release"]["app"])
    news = installer.check(installed, install_props(device.word, "bundle-1")).inputs
    assert installer.read("x", installed).outs["app"] == ""
    assert installer.diff("x", installed, news).changes is True
    installer.update("x", installed, news)
    assert installer.diff("x", installed, news).changes is False


def test_a_host_that_was_wiped_is_noticed_by_its_service(
    services: EdgeServiceProvider, installed: Props, running: Props, device: SshHost, capsys: pytest.CaptureFixture[str]
) -> None:
    app = base(device) / installed["release"]["app"]
    app.rename(app.with_suffix(".away"))
    try:
        assert services.diff("x", running, running).changes is True
        assert f"edge host {device.word}: nothing is installed; `pulumi up` repairs it" in capsys.readouterr().err
        with pytest.raises(EdgeError, match="its installation is gone; run `pulumi up` again"):
            services.update("x", running, running)
    finally:
        app.with_suffix(".away").rename(app)


def test_a_disk_without_room_is_one_line_before_anything_is_copied(
    installer: EdgeInstallProvider, device: SshHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.edge.hosts.copying.ROOM_BYTES", 2**60)
    why = rf"edge host {device.word}: \d+ MiB are needed at .* MiB are free; free some space"
    with pytest.raises(EdgeError, match=why):
        install(installer, install_props(device.word, "bundle-1", home=".rag-platform/full"))
    assert not base(device).with_name("full").exists()


def test_an_unreachable_host_is_one_line_in_the_preview(installer: EdgeInstallProvider, network: Lan) -> None:
    gone = network.add("gone")
    gone.stop()
    (failure,) = installer.check({}, install_props(gone.word, "bundle-1")).failures
    assert failure.reason.startswith(f"edge host {gone.word} can't be reached: ")
    assert failure.reason.endswith(f"; try `{gone.address.by_hand}`")


def test_a_service_that_does_not_start_names_its_host_and_the_one_before_runs_on(
    services: EdgeServiceProvider, running: Props, device: SshHost
) -> None:
    port = running["listen"][1]["port"]
    broken = host_program("service", running["release"]["base"], port, "--say", "no such model")
    with pytest.raises(EdgeError) as failure:
        services.update("x", running, {**running, "programs": [running["programs"][0], broken]})
    said = str(failure.value)
    assert said.startswith(f"edge host {device.word}: service did not start: no such model; see service.key")
    assert said.endswith("(the settings from before run again)")
    services.update("x", running, running)
    assert answer(running) == "none"


def test_a_taken_port_on_the_host_is_named(services: EdgeServiceProvider, installed: Props, device: SshHost) -> None:
    props = host_props(device.word, installed["release"], ports())
    with (
        socket.create_server(("127.0.0.1", props["listen"][1]["port"])),
        pytest.raises(EdgeError, match=rf"edge host {device.word}: port \d+ \(hybrid.edge.port\) is taken by pid"),
    ):
        services.update("x", props, props)
