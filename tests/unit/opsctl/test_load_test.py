from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run


@pytest.fixture
def queries(tmp_path: Path) -> str:
    file = tmp_path / "queries.txt"
    file.write_text("What is FastAPI?\nWhat is Rich?\n")
    return str(file)


def load(opsctl: Run, service: PlayedService, queries: str, *more: str) -> Any:
    return opsctl("load-test", "--url", service.url, "--queries", queries, "--rate", "40", "--seconds", "0.5", *more)


def test_the_report_says_how_requests_ended_and_how_late_the_driver_was(
    opsctl: Run, service: PlayedService, queries: str
) -> None:
    ended = load(opsctl, service, queries, "-o", "json")
    assert ended.code == 0, ended.err
    report = ended.document
    assert report["version"] == 1
    assert report["requests"] == report["outcomes"]["ok"]["count"] > 0
    assert set(report["outcomes"]["ok"]["latencyMs"]) == {"p50", "p90", "p95", "p99", "p999", "mean", "max"}
    assert report["driverLagMs"]["p99"] >= 0
    assert sum(window["counts"]["ok"] for window in report["windows"]) == report["requests"]
    assert report["schedule"]["phases"] == [{"name": "step", "perS": 40.0, "seconds": 0.5}]


def test_the_table_shows_an_outcome_per_line(opsctl: Run, service: PlayedService, queries: str) -> None:
    ended = load(opsctl, service, queries)
    assert "good answers per second" in ended.out
    assert "ok" in ended.out


def test_a_schedule_file_replaces_rate_and_seconds(
    opsctl: Run, service: PlayedService, queries: str, tmp_path: Path
) -> None:
    file = tmp_path / "schedule.yaml"
    file.write_text("{arrivals: even, phases: [{name: spike, perS: 60, seconds: 0.2}]}")
    report = load(opsctl, service, queries, "--schedule", str(file), "-o", "json").document
    assert report["requests"] == 12


def test_keys_come_from_the_environment_and_show_nowhere(
    opsctl: Run, service: PlayedService, queries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_A", "secret-a")
    monkeypatch.setenv("KEY_B", "secret-b")
    ended = load(opsctl, service, queries, "--key-env", "KEY_A", "--key-env", "KEY_B", "-o", "json")
    assert set(ended.document["keys"]) == {"KEY_A", "KEY_B"}
    assert "secret-" not in ended.out + ended.err
    assert {headers["authorization"] for _, _, headers in service.requests} == {"Bearer secret-a", "Bearer secret-b"}


def test_a_key_that_is_not_set_is_one_line_and_code_2(opsctl: Run, service: PlayedService, queries: str) -> None:
    ended = load(opsctl, service, queries, "--key-env", "NO_SUCH_KEY")
    assert (ended.code, ended.out) == (2, "")
    assert "NO_SUCH_KEY" in ended.err
    assert service.requests == []


def test_another_machine_is_refused_before_anything_is_sent(opsctl: Run, queries: str) -> None:
    ended = opsctl("load-test", "--url", "http://192.0.2.1:80", "--queries", queries)
    assert (ended.code, ended.out) == (2, "")
    assert "--allow-host 192.0.2.1" in ended.err
