"""Model work that can wait, through the real OpenAI client against a server of the files and batches endpoints."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service import bundle
from service.adapters.openai_batches import OpenAIBatches
from service.errors import StageUnavailable, StartupError
from service.jobs import desk as desks
from service.jobs import evaluate, golden, ingest
from service.jobs.desk import Desk
from service.jobs.waiting import Request
from tests.batch_server import BatchServer
from tests.real_processes import Door, HttpServer, wait_until

REQUESTS = [Request(f"r{n}", "Say what it is.", f"text {n}", 20) for n in range(4)]
LIMIT_S = 120


@pytest.fixture
def api() -> BatchServer:
    return BatchServer()


@pytest.fixture
def server(api: BatchServer, door: Door) -> Iterator[HttpServer]:
    with door.opened(api.app()) as running:
        yield running


@pytest.fixture
def desk(server: HttpServer, tmp_path: Path) -> Iterator[Desk]:
    batches = OpenAIBatches.open(api_key=SecretStr("k"), base_url=f"{server.url}/v1", model="gpt-4o-mini")
    yield Desk(tmp_path / "desk", batches, poll_s=0.01)
    batches.close()


@pytest.fixture
def told(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    told = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{server.url}/v1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return told


def test_requests_are_answered_in_one_batch_and_paid_for_once(desk: Desk, api: BatchServer) -> None:
    answers = desk.answers(REQUESTS)
    assert answers == {f"r{n}": f"About text {n}." for n in range(4)}
    body = api.requests[0]["body"]
    assert (body["model"], body["max_completion_tokens"]) == ("gpt-4o-mini", 20)
    assert desk.answers([*REQUESTS, Request("new", "s", "text new", 20)])["new"] == "About text new."
    assert [row["custom_id"] for row in api.requests] == ["r0", "r1", "r2", "r3", "new"]


def test_a_batch_that_is_out_is_not_sent_again(desk: Desk, api: BatchServer) -> None:
    api.looks = 3
    desk.wait = False
    for _ in range(3):
        with pytest.raises(StartupError, match=r"batch batch_0 is in_progress \(0 of 4\); run it again later"):
            desk.answers(REQUESTS)
    assert len(desk.answers(REQUESTS)) == 4
    assert len(api.batches) == 1


def test_a_batch_whose_id_was_never_noted_is_found_by_its_mark(desk: Desk, api: BatchServer) -> None:
    desk.wait, api.looks = False, 1
    with pytest.raises(StartupError):
        desk.answers(REQUESTS)
    noted = json.loads((desk.folder / desks.OPEN).read_text())
    (desk.folder / desks.OPEN).write_text(json.dumps(noted | {"batch": None}))
    assert len(desk.answers(REQUESTS)) == 4
    assert len(api.batches) == 1


def test_an_upload_that_never_became_a_batch_is_sent_again(desk: Desk, api: BatchServer) -> None:
    desk.folder.mkdir()
    (desk.folder / desks.OPEN).write_text(json.dumps({"mark": "lost", "batch": None}))
    assert len(desk.answers(REQUESTS)) == 4


def test_an_expired_batch_keeps_what_was_done_and_the_rest_is_sent_again(desk: Desk, api: BatchServer) -> None:
    api.expires = True
    with pytest.raises(StartupError, match="1 of 4 requests to gpt-4o-mini have no answer"):
        desk.answers(REQUESTS)
    api.expires = False
    assert len(desk.answers(REQUESTS)) == 4
    assert [len(api.files[batch["input_file_id"]].splitlines()) for batch in api.batches.values()] == [4, 2, 1]


def test_a_request_that_fails_is_told_with_its_reason(desk: Desk, api: BatchServer) -> None:
    api.fails = lambda body: "text 2" in body["messages"][-1]["content"]
    with pytest.raises(StartupError, match=r"1 of 4 requests to gpt-4o-mini have no answer \(too long\)"):
        desk.answers(REQUESTS)


def test_a_batch_that_was_refused_as_a_whole_can_be_sent_again(desk: Desk, api: BatchServer) -> None:
    api.invalid = True
    with pytest.raises(StageUnavailable, match="batch_0 was refused: invalid_json_line: line 1"):
        desk.answers(REQUESTS)
    api.invalid = False
    assert len(desk.answers(REQUESTS)) == 4


def test_a_wrong_key_is_one_line(desk: Desk, api: BatchServer) -> None:
    api.refusal = 401
    with pytest.raises(StageUnavailable, match=r"the key was refused \(401\); correct OPENAI_API_KEY"):
        desk.answers(REQUESTS)


def test_a_line_that_a_kill_cut_short_is_asked_for_again(desk: Desk) -> None:
    desk.answers(REQUESTS)
    path = desk.folder / desks.ANSWERS
    path.write_text(path.read_text()[:-10])
    assert len(desk.answers(REQUESTS)) == 4


def test_large_work_goes_out_in_several_batches(desk: Desk, api: BatchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MOST_REQUESTS", 2)
    assert len(desk.answers(REQUESTS)) == 4
    assert len(api.batches) == 2


@pytest.fixture
def long_documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "looms.md").write_text("# Looms\n" + "A loom weaves patterns of flowers and leaves from cards. " * 50)
    (folder / "short.md").write_text("# Short\nOne line about bread that rises slowly in the oven.")
    return folder


def test_a_long_document_gets_a_summary_that_is_found(
    told: dict[str, str], long_documents: Path, tmp_path: Path, api: BatchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        str(long_documents),
        "--out",
        str(tmp_path / "home"),
        "--summaries",
        str(tmp_path / "desk"),
        "--poll",
        "0.01",
    ]
    assert ingest.main([*command, "--no-wait"]) == 1
    assert "ingest: batch batch_0 is in_progress (0 of 1); run it again later" in capsys.readouterr().err
    assert ingest.main(command) == 0
    [row] = api.requests
    assert row["body"]["messages"][1]["content"].startswith("Looms\n<document>\n# Looms")
    with bundle.open_chunks(bundle.resolve(tmp_path / "home")) as chunks:
        [(title,)] = chunks.execute("SELECT title FROM chunks WHERE text = 'About Looms.'").fetchall()
    chunks.close()
    assert title == "Looms"
    assert ingest.main(command) == 0
    assert len(api.batches) == 1


def test_a_killed_wait_goes_on_with_the_same_batch(
    told: dict[str, str], long_documents: Path, tmp_path: Path, api: BatchServer
) -> None:
    api.looks = 10**6
    options = [
        str(long_documents),
        "--out",
        str(tmp_path / "home"),
        "--summaries",
        str(tmp_path / "desk"),
        "--poll",
        "0.1",
    ]
    command = [sys.executable, "-m", "service.jobs.ingest", *options]
    waiting = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(one["looks"] for one in api.batches.values()), within_s=LIMIT_S, what="a look at the batch")
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    api.looks = 0
    assert ingest.main(options) == 0
    assert len(api.batches) == 1


def test_a_model_proposes_golden_questions_from_the_index(
    told: dict[str, str],
    corpus: Path,
    tmp_path: Path,
    api: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    passages = tmp_path / "passages"
    passages.mkdir()
    rows: list[dict[str, Any]] = [json.loads(line) for line in (corpus / "corpus.jsonl").read_text().splitlines()]
    (passages / "rows.jsonl").write_text("\n".join(json.dumps(row | {"text": f"{row['text']} " * 3}) for row in rows))
    ingest.ingest(passages, tmp_path / "home", "flat", min_recall=0, threads=1)
    monkeypatch.setenv("RAG_VECTOR_STORE", "faiss")
    monkeypatch.setenv("RAG_BUNDLE_DIR", str(tmp_path / "home"))
    api.answer = lambda body: f"What is said about {body['messages'][-1]['content'].splitlines()[0]}?"
    path = tmp_path / "golden.yaml"
    command = [str(path), "--propose", "3", "--answers", str(tmp_path / "desk"), "--poll", "0.01"]
    assert evaluate.main(command) == 0
    assert len(golden.load(path)) == 3
    assert evaluate.main(command) == 1
    assert "is there already" in capsys.readouterr().err
    assert evaluate.main([str(path), "--min-recall", "0.5"]) == 0
