from __future__ import annotations

import socket
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.opsctl.conftest import Reply

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


def test_a_run_whose_requests_fail_is_stopped_and_ends_with_1(
    opsctl: Run, service: PlayedService, queries: str
) -> None:
    service.says("/rag", Reply(500, {"detail": "?"}))
    more = ("--rate", "100", "--seconds", "30", "--stop-at-errors", "20")
    ended = opsctl("load-test", "--url", service.url, "--queries", queries, *more, "-o", "json")
    assert ended.code == 1
    assert ended.document["requests"] < 1000
    assert "requests failed" in ended.document["stopped"]
    assert ended.err.splitlines()[-1].startswith("opsctl: ")


def test_a_service_that_is_not_there_ends_with_1_whatever_the_budget(opsctl: Run, queries: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    for budget in ((), ("--error-budget", "100")):
        ended = opsctl("load-test", "--url", url, "--queries", queries, "--rate", "40", "--seconds", "0.5", *budget)
        assert ended.code == 1
        assert "connectError" in ended.out
        assert "requests was answered well" in ended.err.splitlines()[-1]


def test_refusals_are_within_the_budget_only_where_it_says_so(
    opsctl: Run, service: PlayedService, queries: str
) -> None:
    turns = cycle([Reply(), Reply(), Reply(), Reply(429, {"detail": "later"})])
    service.answers["/rag"] = lambda _: next(turns)
    ended = load(opsctl, service, queries)
    assert ended.code == 1
    assert "the error budget is 1 %" in ended.err.splitlines()[-1]
    assert load(opsctl, service, queries, "--error-budget", "60").code == 0


def test_the_cap_is_kept_by_what_the_answers_say(opsctl: Run, service: PlayedService, queries: str) -> None:
    service.says("/rag", Reply(body={"answer": "x", "usage": {"costUsd": "0.010000"}}))
    ended = load(opsctl, service, queries, "--seconds", "20", "--max-usd", "0.05", "-o", "json")
    assert ended.code == 1
    assert "the cap is 0.05" in ended.document["stopped"]
    assert 0.05 <= float(ended.document["usd"]) < 0.5


def test_a_broken_promise_ends_with_1_after_the_report(opsctl: Run, service: PlayedService, queries: str) -> None:
    ended = load(opsctl, service, queries, "--slo", "0.000001", "--error-budget", "0")
    assert ended.code == 1
    assert "good answers per second" in ended.out
    assert "promised are 1e-06 s" in ended.err


def test_the_page_has_both_plots_and_a_row_per_outcome(
    opsctl: Run, service: PlayedService, queries: str, tmp_path: Path
) -> None:
    page = tmp_path / "load.html"
    assert load(opsctl, service, queries, "--seconds", "2.5", "--html", str(page)).code == 0
    text = page.read_text()
    assert text.count("<svg") == 2
    assert text.count("<polyline") == 5
    assert "<td" in text
    assert ">ok</td>" in text


def test_a_page_that_can_not_be_written_is_one_line(
    opsctl: Run, service: PlayedService, queries: str, tmp_path: Path
) -> None:
    ended = load(opsctl, service, queries, "--html", str(tmp_path / "no" / "load.html"))
    assert (ended.code, ended.out, service.requests) == (2, "", [])
    assert "--html" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_page_whose_folder_goes_away_meanwhile_costs_the_page_alone(
    opsctl: Run, service: PlayedService, queries: str, tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()

    def answer(_: object) -> Reply:
        folder.rename(tmp_path / "gone") if folder.exists() else None
        return Reply()

    service.answers["/rag"] = answer
    ended = load(opsctl, service, queries, "--html", str(folder / "load.html"))
    assert ended.code == 2
    assert "good answers per second" in ended.out
    assert "--html" in ended.err.splitlines()[-1]


def test_the_capacity_is_searched_and_the_setting_that_follows_is_said(
    opsctl: Run, service: PlayedService, queries: str
) -> None:
    more = ("--find-capacity", "--rate", "10", "--max-rate", "20", "--seconds", "0.5", "--slo", "5", "--replicas", "2")
    ended = opsctl("load-test", "--url", service.url, "--queries", queries, *more, "-o", "json")
    assert ended.code == 0, ended.err
    assert [step["perSecond"] for step in ended.document["steps"]] == [10, 20]
    assert ended.document["scaling"]["requestsPerMinute"] == 420
    shown = opsctl("load-test", "--url", service.url, "--queries", queries, *more)
    assert "pulumi config set --path scaling.requestsPerMinute 420" in shown.out


SEARCH = ("--find-capacity", "--rate", "10", "--max-rate", "20", "--seconds", "0.5")


def test_a_cap_that_is_used_up_is_no_broken_promise(opsctl: Run, service: PlayedService, queries: str) -> None:
    service.says("/rag", Reply(body={"answer": "x", "usage": {"costUsd": "0.010000"}}))
    ended = opsctl("load-test", "--url", service.url, "--queries", queries, *SEARCH, "--max-usd", "0.05", "-o", "json")
    assert "the cap is 0.05" in ended.document["stopped"]
    assert [(step["perSecond"], step["broken"]) for step in ended.document["steps"]] == [(10, []), (20, [])]
    assert (ended.code, ended.document["requestsPerSecond"], ended.document["bounded"]) == (0, 10, False)


def test_a_cap_that_lets_nothing_be_sent_is_told_as_such(opsctl: Run, service: PlayedService, queries: str) -> None:
    ended = opsctl("load-test", "--url", service.url, "--queries", queries, *SEARCH, "--max-usd", "0")
    assert (ended.code, service.requests) == (1, [])
    assert "promise" not in ended.out + ended.err
    assert "the search stopped before any rate had held: the answers cost 0 USD, the cap is 0" in ended.err
    assert "--max-usd" in ended.err.splitlines()[-1]


def test_a_production_stack_is_loaded_only_with_yes(opsctl: Run, queries: str) -> None:
    ended = opsctl("load-test", "--stack", "prod", "--queries", queries)
    assert (ended.code, ended.out) == (2, "")
    assert "production stack" in ended.err
    assert "--yes" in ended.err


@pytest.mark.parametrize("given", [(), ("--stack", "dev", "--url", "http://127.0.0.1:1")])
def test_a_stack_or_an_address_is_given_and_not_both(opsctl: Run, queries: str, given: tuple[str, ...]) -> None:
    assert opsctl("load-test", *given, "--queries", queries).code == 2
