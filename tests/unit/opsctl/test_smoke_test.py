from __future__ import annotations

import asyncio
import json
import socket
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from opsctl.smoke.client import is_loopback
from opsctl.smoke.core import CORE
from opsctl.smoke.golden import Golden, load_golden
from opsctl.smoke.run import Report, Target
from opsctl.smoke.run import smoke as smoke_run
from tests.unit.opsctl.conftest import Ended, PlayedService, Reply, Run, source

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["livez", "readyz", "search", "rag", "bad request"]


def failing(ended: Ended) -> dict[str, str]:
    return {check["name"]: check["summary"] for check in ended.document["checks"] if check["status"] == "failed"}


def smoke(opsctl: Run, service: PlayedService, *more: str) -> Ended:
    return opsctl("smoke-test", "--url", service.url, "--output", "json", "--timeout", "5", "--settle", "0", *more)


def run_smoke(service: PlayedService, golden: tuple[Golden, ...] = (), **more: Any) -> Report:
    return asyncio.run(smoke_run(Target(service.url), golden, limit_s=5, talk=Console(quiet=True), **more))


def answering(service: PlayedService, **changed: Any) -> None:
    """Let /rag answer with changed keys; a bad request stays refused."""
    refuse = service.answers["/rag"]

    def answer(body: dict[str, Any]) -> Reply:
        reply = refuse(body)
        return type(reply)(200, reply.body | changed) if body["query"] else reply

    service.answers["/rag"] = answer


def test_a_good_service_passes_every_check_and_ends_with_0(opsctl: Run, service: PlayedService) -> None:
    ended = smoke(opsctl, service)
    assert ended.code == 0
    assert [(check["name"], check["status"]) for check in ended.document["checks"]] == [(name, "ok") for name in NAMES]


def test_the_table_shows_each_check_with_time_and_evidence_then_question_answer_and_first_source(
    opsctl: Run, service: PlayedService
) -> None:
    ended = opsctl("smoke-test", "--url", service.url)
    assert ended.code == 0
    for name in NAMES:
        line = next(line for line in ended.out.splitlines() if line.startswith(name))
        assert "ok" in line
        assert " ms" in line
    assert f"question  {load_golden()[0].question}" in ended.out
    assert "answer    It is fastapi [1]." in ended.out
    assert "source 1  fastapi (repos, score 0.71) https://pypi.org/project/fastapi" in ended.out


def test_the_json_keys_are_a_contract(opsctl: Run, service: PlayedService) -> None:
    document = smoke(opsctl, service).document
    assert set(document) == {"version", "stack", "url", "ok", "checks"}
    assert (document["version"], document["stack"], document["ok"]) == (1, None, True)
    assert all(set(check) == {"name", "status", "elapsedMs", "summary", "evidence"} for check in document["checks"])
    rag = document["checks"][NAMES.index("rag")]["evidence"]
    assert rag["servedBy"] == "edge"
    assert rag["requestId"] == "r-1"
    assert rag["sources"][0]["title"] == "fastapi"


def test_talk_goes_to_stderr_and_stdout_is_json_alone(opsctl: Run, service: PlayedService) -> None:
    ended = smoke(opsctl, service)
    assert json.loads(ended.out)
    assert "checking rag" in ended.err


def test_no_colour_reaches_a_pipe(opsctl: Run, service: PlayedService) -> None:
    ended = opsctl("smoke-test", "--url", service.url)
    assert "\x1b" not in ended.out + ended.err


def test_no_color_is_honoured_on_a_terminal(
    opsctl: Run, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m" in opsctl("smoke-test", "--url", service.url).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in opsctl("smoke-test", "--url", service.url).out


def test_a_wrong_best_hit_is_named_beside_the_right_one(opsctl: Run, service: PlayedService) -> None:
    wrong = service.answers["/rag"]({"query": "?"}).body["sources"]
    service.says("/search", Reply(body={"results": list(reversed(wrong))}))
    ended = smoke(opsctl, service)
    assert ended.code == 1
    assert "'rich', not 'fastapi'" in failing(ended)["search"]
    assert "--golden" in failing(ended)["search"]
    assert ended.err.splitlines()[-1].startswith("opsctl: 1 of 5 checks don't hold: search;")


def test_an_empty_index_is_told(opsctl: Run, service: PlayedService) -> None:
    service.says("/search", Reply(body={"results": []}))
    assert "finds nothing; fill the index" in failing(smoke(opsctl, service))["search"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"timings": {"total_ms": 1.0}}, "timings.self_query_ms (Field required)"),
        ({"answer": ""}, "answer"),
        ({"sources": []}, "/rag found nothing that covers the question 'What is FastAPI?'; fill the index"),
        ({"servedBy": "moon"}, "servedBy"),
        ({"requestId": None}, "requestId"),
        ({"answer": "It is fastapi."}, "cites none of its sources"),
        ({"answer": "It is fastapi [1][7]."}, "cites [7], there are 2 sources"),
    ],
)
def test_a_rag_answer_that_breaks_the_contract_says_which_key(
    changed: dict[str, Any], said: str, opsctl: Run, service: PlayedService
) -> None:
    answering(service, **changed)
    ended = smoke(opsctl, service)
    assert ended.code == 1
    assert list(failing(ended)) == ["rag"]
    assert said in failing(ended)["rag"]


def test_a_rag_answer_from_other_documents_fails(opsctl: Run, service: PlayedService) -> None:
    good = service.answers["/rag"]({"query": "?"}).body
    answering(service, sources=good["sources"][1:])
    assert "'fastapi' is not among them" in failing(smoke(opsctl, service))["rag"]


def test_a_stage_that_is_not_configured_may_have_no_time(opsctl: Run, service: PlayedService) -> None:
    timings = service.answers["/rag"]({"query": "?"}).body["timings"]
    answering(service, timings=timings | {"self_query_ms": None, "query_expansion_ms": None, "reranking_ms": None})
    assert smoke(opsctl, service).code == 0


def test_citations_may_be_grouped(opsctl: Run, service: PlayedService) -> None:
    answering(service, answer="It is fastapi [1, 2].")
    ended = smoke(opsctl, service)
    assert "cites [1] fastapi, [2] rich" in ended.document["checks"][NAMES.index("rag")]["summary"]


def test_a_degraded_answer_says_so(opsctl: Run, service: PlayedService) -> None:
    answering(service, degraded=["reranking"])
    ended = smoke(opsctl, service)
    assert ended.code == 0
    assert "degraded: reranking" in ended.document["checks"][NAMES.index("rag")]["summary"]


@pytest.mark.parametrize(
    ("status", "body", "media_type", "said"),
    [
        (200, {"answer": "?"}, "application/json", "answered 200, not 422"),
        (500, {"detail": "?"}, "application/json", "answered 500, not 422"),
        (422, {"detail": "?"}, "application/json", "not application/problem+json"),
        (422, {"detail": "?"}, "application/problem+json", "requestId"),
        (422, "Traceback (most recent call last)", "application/problem+json", "shows a traceback"),
    ],
)
def test_a_bad_request_must_be_refused_as_a_problem(
    status: int, body: Any, media_type: str, said: str, opsctl: Run, service: PlayedService
) -> None:
    good = service.answers["/rag"]
    service.answers["/rag"] = lambda asked: good(asked) if asked["query"] else Reply(status, body, media_type)
    ended = smoke(opsctl, service)
    assert ended.code == 1
    assert said in failing(ended)["bad request"]


def test_a_service_that_hangs_fails_in_the_time_that_was_given(opsctl: Run, service: PlayedService) -> None:
    service.hangs("/rag")
    started = perf_counter()
    ended = opsctl("smoke-test", "--url", service.url, "--output", "json", "--timeout", "0.3")
    assert perf_counter() - started < 5
    assert ended.code == 1
    assert "/rag gave no answer within 0.3 s" in failing(ended)["rag"]


def test_a_service_that_is_down_fails_once_and_skips_the_rest(opsctl: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ended = opsctl("smoke-test", "--url", f"http://127.0.0.1:{port}", "-o", "json")
    assert ended.code == 1
    assert [check["status"] for check in ended.document["checks"]] == ["failed"] + ["skipped"] * 4
    assert "nothing can be reached" in failing(ended)["livez"]


def test_a_body_that_is_not_json_is_told(opsctl: Run, service: PlayedService) -> None:
    service.says("/search", Reply(body="<html>", media_type="text/html"))
    assert "/search breaks the contract: body" in failing(smoke(opsctl, service))["search"]


def test_the_key_comes_from_the_environment_and_is_never_shown(
    opsctl: Run, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.says("/search", Reply(401, {"detail": "who?"}))
    assert "RAG_API_KEY" in failing(smoke(opsctl, service))["search"]
    monkeypatch.setenv("RAG_API_KEY", "planted-secret")
    service.requests.clear()
    ended = smoke(opsctl, service)
    assert all(headers["authorization"] == "Bearer planted-secret" for _, _, headers in service.requests)
    assert "planted-secret" not in ended.out + ended.err


def test_a_golden_file_replaces_the_demo_questions(opsctl: Run, service: PlayedService, tmp_path: Path) -> None:
    file = tmp_path / "golden.yaml"
    file.write_text("questions: [{question: Who prints tables?, title: Rich, collection: repos}]")
    service.says("/search", Reply(body={"results": service.answers["/rag"]({"query": "?"}).body["sources"][1:]}))
    ended = smoke(opsctl, service, "--golden", str(file))
    assert ended.code == 0
    assert ended.document["checks"][NAMES.index("rag")]["evidence"]["question"] == "Who prints tables?"


def test_an_answer_may_cite_nothing_where_the_question_does_not_demand_it(
    opsctl: Run, service: PlayedService, tmp_path: Path
) -> None:
    (tmp_path / "golden.yaml").write_text("questions: [{question: What is FastAPI?, title: fastapi}]")
    answering(service, answer="It is fastapi.")
    ended = smoke(opsctl, service, "--golden", str(tmp_path / "golden.yaml"))
    assert ended.code == 0
    assert ended.document["checks"][NAMES.index("rag")]["summary"].endswith("; cites nothing")


def test_the_demo_corpus_question_that_is_put_to_rag_demands_a_citation() -> None:
    assert load_golden()[0].cited


def test_without_golden_questions_the_text_of_a_document_must_find_its_own_document(service: PlayedService) -> None:
    texts = {"fastapi": "It is a web framework.", "rich": "It prints tables."}
    found = [source(title) | {"text": text} for title, text in texts.items()]

    def search(body: dict[str, Any]) -> Reply:
        first = [hit for hit in found if hit["text"] == body["query"]]
        return Reply(body={"results": first or found})

    service.answers["/search"] = search
    report = run_smoke(service)
    assert report.failed == ()
    assert report.outcomes[NAMES.index("search")].summary == "2 of 2 best hits right: fastapi, rich"

    service.says("/search", Reply(body={"results": found}))
    assert run_smoke(service).failed == ("search",)


def test_a_service_without_texts_needs_golden_questions(service: PlayedService) -> None:
    service.says("/search", Reply(body={"results": [source("rich")]}))
    assert "--golden FILE" in run_smoke(service).outcomes[NAMES.index("search")].summary


def test_a_service_that_only_comes_up_is_waited_for(service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.smoke.run.POLL_S", 0.01)
    calls: list[str] = []

    def livez(_: dict[str, Any]) -> Reply:
        calls.append("livez")
        if len(calls) < 4:
            raise ConnectionResetError
        return Reply()

    service.answers["/livez"] = livez
    assert "livez" in run_smoke(service, load_golden()).failed
    assert run_smoke(service, load_golden(), first_answer_s=5).failed == ()


def test_the_release_that_was_asked_for_is_waited_for(service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.smoke.run.POLL_S", 0.01)
    releases = iter(["old", "old", "new"])
    service.answers["/readyz"] = lambda _: Reply(body={"release": next(releases, "new")})
    target = Target(service.url, release="new")
    report = asyncio.run(smoke_run(target, load_golden(), limit_s=5, talk=Console(quiet=True), first_answer_s=5))
    assert report.failed == ()
    assert report.outcomes[NAMES.index("readyz")].facts == {"release": "new"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("questions: []", "questions"),
        ("questions: [{question: Who?}]", "questions.0.title"),
        ("questions: [{question: Who?, title: x, titel: y}]", "titel"),
        ("- : [", "while parsing"),
        ("42", "file"),
    ],
)
def test_a_golden_file_of_another_shape_is_one_line(
    text: str, said: str, opsctl: Run, service: PlayedService, tmp_path: Path
) -> None:
    file = tmp_path / "golden.yaml"
    file.write_text(text)
    ended = smoke(opsctl, service, "--golden", str(file))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_golden_titles_are_compared_as_distribution_names() -> None:
    golden = Golden(question="?", title="faiss-cpu")
    assert golden.names("Faiss_CPU", "repos")
    assert not golden.names("faiss", "repos")
    assert not Golden(question="?", title="x", collection="posts").names("x", "repos")


def test_the_demo_corpus_has_at_least_three_golden_questions_about_installed_distributions() -> None:
    from importlib.metadata import distribution

    golden = load_golden()
    assert len(golden) >= 3
    assert all(distribution(each.title) for each in golden)


def test_every_check_waits_only_for_one_that_runs_before_it() -> None:
    names = [check.name for check in CORE]
    assert names == NAMES
    assert all(check.needs is None or check.needs in names[:at] for at, check in enumerate(CORE))


def test_only_this_machine_is_asked_without_a_proxy() -> None:
    assert all(is_loopback(url) for url in ("http://127.0.0.1:1", "http://[::1]:1", "http://localhost"))
    assert not any(is_loopback(url) for url in ("https://api.example.com", "http://10.0.0.1", "http://127.example.com"))
