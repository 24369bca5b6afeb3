"""Units are judged by systemd's own verifier; what is done with them runs against a small systemctl.

No container has a systemd of its own, so that systemd itself keeps the programs up is declared here, not shown.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.edge.errors import EdgeError, StartError
from infra.edge.layout import RunFolder
from infra.edge.running import RunningEdge, ServiceInputs
from infra.edge.supervisor_conf import Program
from infra.edge.systemd import Systemd
from infra.edge.systemd_unit import unit
from infra.edge.waiting import until
from tests.infra.edge_standins import free_ports, program, service_props, write_server

FAKE = Path(__file__).with_name("fake_systemctl.py")


def text(**changes: Any) -> str:
    values: dict[str, Any] = {
        "args": ("-m", "service", "--name", 'a "b" $HOME 100%'),
        "environment": {"COLOUR": 'dark "blue" 50% \\'},
        "stop_wait_s": 140,
        "fix": "",
    }
    one = Program(name="service", **{**values, **changes})
    place = {"base": Path("/tmp"), "root": Path("/tmp"), "python": Path(sys.executable)}  # noqa: S108
    return unit(one, stack="prod", user="root", mark="systemd:x", **place)


def test_a_unit_is_hardened_restarts_and_gives_its_requests_time() -> None:
    lines = text().splitlines()
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=always", "TimeoutStopSec=140"):
        assert line in lines
    assert 'Environment="COLOUR=dark \\"blue\\" 50%% \\\\"' in lines
    assert 'a \\"b\\" $$HOME 100%%' in text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_itself_finds_nothing_wrong_with_a_unit(tmp_path: Path) -> None:
    path = tmp_path / "rag-edge-prod.service.service"
    path.write_text(text())
    binary = shutil.which("systemd-analyze")
    assert binary
    done = subprocess.run([binary, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if path.name in line]
    assert said == []


def test_a_line_break_has_no_spelling_in_a_unit() -> None:
    with pytest.raises(EdgeError, match="control character"):
        text(environment={"A": "one\ntwo"})


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    """`sudo systemctl ...` is the small one; install and rm are real."""
    units, tools = tmp_path / "units", tmp_path / "tools"
    units.mkdir()
    tools.mkdir()
    write_server(tmp_path)
    sudo = tools / "sudo"
    sudo.write_text(
        f'#!/bin/sh\ncase "$1" in\n'
        f'systemctl) shift; exec {sys.executable} {FAKE} {units} "$@";;\n'
        f'journalctl) cat "{units}/$3.journal";;\n'
        f'*) exec "$@";;\nesac\n'
    )
    sudo.chmod(0o755)
    folder = RunFolder(tmp_path / "prod" / "run")
    found = Systemd(folder, root=tmp_path, python=Path(sys.executable), units=units, sudo=(str(sudo),))
    yield found
    found.stop(())


def inputs(**changes: Any) -> ServiceInputs:
    return ServiceInputs.model_validate(service_props(*free_ports(2), **changes))


def test_units_come_up_stay_and_go_without_a_trace(systemd: Systemd, tmp_path: Path) -> None:
    edge, wanted = RunningEdge(systemd.folder, systemd), inputs()
    edge.up(wanted)
    assert httpx.get(wanted.ready_url, trust_env=False).status_code == 200
    assert edge.drift(wanted) is None
    assert edge.taken(wanted) == ()
    before = {state.name: state.pid for state in systemd.states()}

    llama, service = wanted.programs
    changed = wanted.model_copy(
        update={"programs": (llama, service.model_copy(update={"environment": {"COLOUR": "x"}}))}
    )
    assert edge.drift(changed) == "its units are out of date"
    edge.up(changed)
    after = {state.name: state.pid for state in systemd.states()}
    assert after["llama"] == before["llama"]
    assert after["service"] != before["service"]

    os.kill(after["llama"], signal.SIGKILL)
    assert until(lambda: edge.drift(changed) == "llama is FATAL", 10)
    edge.up(changed)
    assert edge.drift(changed) is None

    edge.stop(changed)
    assert [path for path in systemd.units.iterdir() if path.suffix == ".service"] == []
    assert not (tmp_path / "prod").exists()
    assert edge.drift(changed) == "llama is unknown, service is unknown"


def test_a_unit_that_does_not_start_says_why(systemd: Systemd) -> None:
    edge, wanted = RunningEdge(systemd.folder, systemd), inputs()
    broken = Program.model_validate(program("llama", "0", "--say", "no model 'x'"))
    with pytest.raises(StartError, match=r"llama did not start: no model 'x'; see llama.key"):
        edge.up(wanted.model_copy(update={"programs": (broken, wanted.programs[1])}))
