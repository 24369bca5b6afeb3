from __future__ import annotations

import json
from pathlib import Path

import pytest

from opsctl.smoke.golden import load_golden
from service.jobs import evaluate, golden, ingest
from service.jobs.evaluate import Ranked
from service.jobs.golden import Expected, Golden
from tests import random_cross_encoder
from tests.fakes import hit

QUESTIONS = """\
questions:
  - question: Who found a moth in a relay?
    title: moth
    collection: repos
    cited: true
  - question: How does the engine weave like a Jacquard loom, and compute the numbers of Bernoulli?
    expected: [{title: Bernoulli}, {url: p/1, collection: posts}]
  - question: What is a compiler?
    title: Compilers
    author: Grace Hopper
  - question: How is bread baked?
    title: Bread
"""


@pytest.fixture
def bundled(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle in the service's environment, and a file of questions."""
    ingest.ingest(corpus, tmp_path / "bundle", "flat", min_recall=0, threads=1)
    told = {"RAG_VECTOR_STORE": "faiss", "RAG_BUNDLE_DIR": str(tmp_path / "bundle"), "RAG_DOCUMENTS": "bundle"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "golden.yaml").write_text(QUESTIONS)
    return tmp_path


def test_quality_and_time_are_measured_on_golden_questions(bundled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(bundled / "golden.yaml"), "--k", "2", "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["questions"], report["k"], report["after"]) == (4, 2, None)
    assert report["before"] == {"recallAtK": 0.75, "mrr": 0.75}
    assert set(report["latencyMs"]) == {"retrieval", "total"}
    assert 0 < report["latencyMs"]["retrieval"]["p50"] <= report["latencyMs"]["retrieval"]["p95"]
    [missed] = report["missed"]
    assert (missed["question"], missed["expected"]) == ("How is bread baked?", [{"title": "Bread"}])
    assert len(missed["found"]) == 3


def test_reranking_is_measured_apart(
    bundled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random_cross_encoder.save(bundled / "reranker", logits=1)
    monkeypatch.setenv("RAG_RERANKER", "onnx")
    monkeypatch.setenv("RAG_RERANKER_MODEL", str(bundled / "reranker"))
    assert evaluate.main([str(bundled / "golden.yaml"), "--k", "1", "--output", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["before"]["mrr"] == 0.75
    assert report["after"]["mrr"] != report["before"]["mrr"], "random weights are no judge"
    assert set(report["latencyMs"]) == {"retrieval", "reranking", "total"}


def test_a_threshold_that_is_missed_is_exit_code_1(bundled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--min-recall", "0.9", "--min-mrr", "0.8", "--max-p95-ms", "0.001"]
    assert evaluate.main([str(bundled / "golden.yaml"), "--k", "3", *limits]) == 1
    captured = capsys.readouterr()
    said = [line for line in captured.err.splitlines() if line.startswith("evaluate: ")]
    assert said[:2] == ["evaluate: recall@3 is 0.75, below 0.9", "evaluate: MRR is 0.75, below 0.8"]
    assert "p95 of retrieval as a whole is" in said[2]
    assert "before reranking" in captured.out
    assert "missed: How is bread baked?" in captured.out


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("questions: []", "questions: Tuple should have at least 1 item"),
        ("questions:\n  - question: x", "give title, or expected"),
        ("questions:\n  - question: x\n    expected: [{collection: posts}]", "name the document by title, url or id"),
        ("questions:\n  - {question: x, title: y, tite: z}", "questions.0.tite: Extra inputs are not permitted"),
        ("questions: [", "give a YAML file of golden questions"),
        ("just words", "Input should be a valid dictionary"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_of_another_shape_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, line: str
) -> None:
    path = tmp_path / "golden.yaml"
    if content is not None:
        path.write_text(content)
    assert evaluate.main([str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"evaluate: {path}: ")
    assert line in said
    assert said.count("\n") == 1


def test_the_smoke_tests_questions_are_golden_questions() -> None:
    import opsctl.smoke

    path = Path(opsctl.smoke.__path__[0]) / "golden.yaml"
    assert [one.question for one in golden.load(path)] == [one.question for one in load_golden()]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    questions = (Golden(question="Was heißt Webstuhl?", title="Looms", collection="posts"),)
    (tmp_path / "golden.yaml").write_text(golden.dump(questions), encoding="utf-8")
    assert golden.load(tmp_path / "golden.yaml") == questions


def test_chunks_of_one_document_count_once() -> None:
    hits = [hit("a"), hit("a"), hit("b"), hit("b"), hit("c")]
    question = Golden(question="?", expected=(Expected(title="b"), Expected(title="c")))
    assert Ranked.of(question, hits, 2) == Ranked(0.5, 0.5)
    assert Ranked.of(question, hits, 3) == Ranked(1.0, 0.5)
    assert Ranked.of(Golden(question="?", title="absent"), hits, 3) == Ranked(0.0, 0.0)
