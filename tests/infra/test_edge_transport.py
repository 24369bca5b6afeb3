"""Both transports against real processes: this machine, and a real sshd on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.edge.errors import EdgeError, UnreachableError
from infra.edge.hosts.address import Address, parse
from infra.edge.hosts.transport import Draft, LocalTransport, SshTransport, Transport, get, put, sha256_of
from tests.infra.edge_standins import write_server
from tests.real_processes import free_port
from tests.ssh_hosts import USER, Lan, SshHost, lan


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    with lan(tmp_path_factory.mktemp("lan") / "n") as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{found.path}:{os.environ['PATH']}")
        yield found


@pytest.fixture(scope="module")
def device(network: Lan) -> SshHost:
    return network.add("device")


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Transport:
    if request.param == "local":
        return LocalTransport()
    return SshTransport(request.getfixturevalue("device").address)


@pytest.mark.parametrize(
    ("word", "address", "command", "slug"),
    [
        ("ssh://pi@device-1", Address("device-1", "pi"), "ssh pi@device-1", "pi-device-1"),
        ("ssh://device:2222", Address("device", port=2222), "ssh -p 2222 device", "device-2222"),
        ("A.example.com", Address("A.example.com"), "ssh A.example.com", "a-example-com"),
    ],
)
def test_an_address_is_what_ssh_is_told(word: str, address: Address, command: str, slug: str) -> None:
    assert parse(word) == address
    assert (address.by_hand, address.slug) == (command, slug)
    assert parse(str(address)) == address


def test_this_machine_has_no_address() -> None:
    assert parse("local") is None


def test_words_arrive_as_they_were_given(transport: Transport) -> None:
    words = ["two words", "$HOME", "'quoted'", "a;b", "", "ü"]
    done = transport.run(["printf", "%s|", *words])
    assert done.stdout.decode() == "".join(f"{word}|" for word in words)


def test_what_is_said_and_how_it_ended_come_back(transport: Transport) -> None:
    done = transport.run(["sh", "-c", "cat; echo no >&2; exit 7"], stdin=b"in")
    assert (done.code, done.stdout, done.last_words) == (7, b"in", "no")


def test_a_command_that_hangs_is_given_up_in_one_line(transport: Transport) -> None:
    with pytest.raises(EdgeError, match=r"took more than 0\.5 s; run the command again") as failure:
        transport.run(["sleep", "60"], limit_s=0.5)
    assert "\n" not in str(failure.value)


def test_a_file_arrives_whole_private_and_comes_back(transport: Transport, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "a folder" / "target"
    source.write_bytes(os.urandom(300_000))
    put(transport, source, str(target), sha256=sha256_of(source))
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    get(transport, str(target), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_copy_that_was_cut_goes_on_where_it_stopped(transport: Transport, tmp_path: Path) -> None:
    source, target, left = tmp_path / "source", tmp_path / "target", tmp_path / "target.part-1"
    source.write_bytes(os.urandom(300_000))
    # 6,544 bytes more than when it was looked at: whoever made it is still at it
    left.write_bytes(source.read_bytes()[:130_000])
    put(transport, source, str(target), sha256=sha256_of(source), begun=Draft(str(left), 123_456))
    assert target.read_bytes() == source.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"source", "target"}


def test_a_draft_that_is_gone_was_finished_by_another_or_is_begun_again(transport: Transport, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(300_000))
    gone = Draft(str(tmp_path / "target.part-1"), 123_456)
    put(transport, source, str(target), sha256=sha256_of(source), begun=gone)
    first = target.stat().st_ino
    put(transport, source, str(target), sha256=sha256_of(source), begun=gone)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_ino == first


def test_a_damaged_copy_is_removed_and_the_file_from_before_stays(transport: Transport, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old")
    with pytest.raises(EdgeError, match="arrived damaged and was removed; run the command again"):
        put(transport, source, str(target), sha256="0" * 64)
    assert target.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"source", "target"}


def test_a_full_disk_is_one_line(transport: Transport, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(1_000))
    with pytest.raises(EdgeError, match="source can't be copied") as failure:
        put(transport, source, "/dev/full/x", sha256=sha256_of(source))
    assert "\n" not in str(failure.value)


def test_a_port_of_the_host_is_reached_through_the_transport(transport: Transport, tmp_path: Path) -> None:
    write_server(tmp_path)
    port = free_port()
    with subprocess.Popen([sys.executable, "server.py", str(port)], cwd=tmp_path) as server:
        try:
            with transport.forwarded(port) as near:
                client = httpx.Client(transport=httpx.HTTPTransport(retries=5), trust_env=False)
                with client:
                    assert client.get(f"http://127.0.0.1:{near}/").status_code == 200
        finally:
            server.kill()


def test_an_unreachable_host_is_one_line_with_the_command_to_try(network: Lan) -> None:
    port = free_port()
    gone = SshTransport(Address("127.0.0.1", "pi", port))
    with pytest.raises(UnreachableError) as failure:
        gone.run(["true"])
    said = str(failure.value)
    assert said.startswith(f"edge host ssh://pi@127.0.0.1:{port} can't be reached: ")
    assert "Connection refused" in said
    assert said.endswith(f"; try `ssh -p {port} pi@127.0.0.1`")
    with pytest.raises(UnreachableError, match="Connection refused"), gone.forwarded(80):
        pass


def test_a_host_whose_key_is_not_known_is_refused(network: Lan) -> None:
    stranger = network.add("stranger")
    known = network.folder / "known_hosts"
    known.write_text(
        "".join(line for line in known.read_text().splitlines(keepends=True) if str(stranger.port) not in line)
    )
    with pytest.raises(UnreachableError, match=f"Host key verification failed.; try `ssh -p {stranger.port} {USER}@"):
        SshTransport(stranger.address).run(["true"])


def test_a_host_that_is_switched_off_in_between_is_noticed(network: Lan) -> None:
    device = network.add("flaky")
    transport = SshTransport(device.address)
    assert transport.run(["true"]).code == 0
    device.stop()
    with pytest.raises(UnreachableError):
        transport.run(["true"])
    device.start()
    assert transport.run(["true"]).code == 0
