"""Data jobs as processes: MongoDB's wire protocol -> the ingestion -> Qdrant's HTTP -> a bundle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from starlette.responses import JSONResponse

from service import bundle
from service.jobs import export_bundle, ingest
from tests import real_corpus
from tests.conftest import CORPUS
from tests.fake_qdrant import FakeQdrant
from tests.real_processes import HttpServer, Running, serve, wait_until

COLLECTIONS = ("posts", "articles", "repos")
LIMIT_S = 400
AWAY = JSONResponse({"status": {"error": "away"}, "time": 0.0}, 503)


class Qdrant(FakeQdrant):
    """Falls silent after so many writes, and holds a point more after so many counts, if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.writes_left = self.counts_left = -1

    async def _upsert(self, name: str, body: Any) -> Any:
        self.writes += 1
        if self.writes == self.writes_left:
            self.failure = AWAY
        return await super()._upsert(name, body)

    def restored(self) -> None:
        self.failure, self.writes_left, self.counts_left = None, -1, -1

    async def _count(self, name: str, body: Any) -> Any:
        self.counts_left -= self.counts_left > 0
        more = {"count": (await super()._count(name, body))["count"] + 1}
        return more if self.counts_left == 0 else await super()._count(name, body)


@pytest.fixture
def qdrant() -> Qdrant:
    return Qdrant()


@pytest.fixture
def server(qdrant: Qdrant) -> Iterator[HttpServer]:
    with serve(qdrant.app()) as running:
        yield running


@pytest.fixture
def database(mongo: Running) -> Iterator[Any]:
    """Six documents of three authors."""
    with MongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{mongo.port}") as client:
        client.drop_database("rag")
        authors: dict[str, int] = {}
        for number, line in enumerate(CORPUS.splitlines()):
            row = json.loads(line)
            author = authors.setdefault(row["author"], len(authors))
            row = {"_id": number, "title": row["title"], "content": row["text"], "author_id": author} | {
                "collection": row["collection"]
            }
            client["rag"][row.pop("collection")].insert_one(row)
        client["rag"]["users"].insert_many([{"_id": number, "fullName": name} for name, number in authors.items()])
        yield client["rag"]


@pytest.fixture
def environment(mongo: Running, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    told = {"DATABASE_HOST": f"mongodb://127.0.0.1:{mongo.port}", "QDRANT_CLOUD_URL": server.url}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return {"PATH": os.environ["PATH"], **told}


def feed(*options: str) -> int:
    return ingest.main(["--mongo", "--qdrant", "--threads", "1", "--patience", "1", *options])


def started(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "service.jobs.ingest", *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def one_line(captured: pytest.CaptureResult[str], job: str = "ingest") -> str:
    lines = [line for line in captured.err.splitlines() if line.startswith(f"{job}: ")]
    assert len(lines) == 1, captured.err
    assert captured.err.splitlines()[-1] == lines[0]
    assert "Traceback" not in captured.err
    return lines[0].removeprefix(f"{job}: ")


def held(qdrant: Qdrant, name: str) -> dict[str, dict[str, Any]]:
    """Payloads by point, as the store has them; read where it runs on no loop of its own."""
    local = qdrant.store._client.collections[name]
    return {str(key): local.payload[row] for key, row in local.ids.items() if not local.deleted[row]}


def report(captured: pytest.CaptureResult[str]) -> dict[str, dict[str, Any]]:
    collections: dict[str, dict[str, Any]] = json.loads(captured.out)["collections"]
    return collections


def test_a_killed_run_goes_on_and_nothing_is_lost_or_doubled(
    mongo: Running, environment: dict[str, str], qdrant: Qdrant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = environment["DATABASE_HOST"]
    with MongoClient[dict[str, Any]](address) as client:
        client.drop_database(real_corpus.DATABASE)
    counts = real_corpus.fill(address, chunks=700)
    first = started(environment, "--mongo", "--qdrant", "--workers", "2")
    wait_until(lambda: qdrant.writes >= 3, within_s=LIMIT_S, what="the first chunks in Qdrant")
    workers = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    ended(first)
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert gone
    assert not alive, "workers outlived the run that started them"
    kept = sum(len(held(qdrant, name)) for name in COLLECTIONS)

    code, out, err = ended(started(environment, "--mongo", "--qdrant", "--workers", "2"))
    assert code == 0, err
    collections = json.loads(out)["collections"]
    assert {name: collections[name]["read"] for name in COLLECTIONS} == counts
    assert 0 < sum(one["unchanged"] for one in collections.values()) <= kept
    total = 0
    for name, one in collections.items():
        payloads = held(qdrant, name)
        assert one["held"] == one["chunks"] == one["written"] + one["unchanged"] == len(payloads)
        assert len({(payload["document"], payload["chunk"]) for payload in payloads.values()}) == len(payloads)
        assert {payload["document"] for payload in payloads.values()} == {
            f"{name[0]}{number}" for number in range(1, counts[name] + 1)
        } - dropped_of(one, payloads)
        total += one["held"]

    code, out, err = ended(started(environment, "--mongo", "--qdrant"))
    assert code == 0, err
    assert sum(one["written"] + one["removed"] for one in json.loads(out)["collections"].values()) == 0

    assert export_bundle.main(["--out", str(tmp_path)]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["count"] == total
    assert manifest["recallAt10"] >= 0.98
    assert bundle.verify(bundle.resolve(tmp_path)).count == total


def dropped_of(one: dict[str, Any], payloads: dict[str, dict[str, Any]]) -> set[str]:
    """Keys that are not there: as many as were dropped, all of them copies."""
    there = {payload["document"] for payload in payloads.values()}
    missing = one["read"] - len(there)
    assert sum(one["dropped"].values()) == missing
    prefix = next(iter(there))[0]
    return {f"{prefix}{number}" for number in range(1, one["read"] + 1)} - there


def test_only_what_changed_is_written_and_what_is_gone_is_removed(
    database: Any, environment: dict[str, str], qdrant: Qdrant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert feed() == 0
    assert {name: one["written"] for name, one in report(capsys.readouterr()).items()} == dict.fromkeys(COLLECTIONS, 2)
    assert {name for name, field, kind in qdrant.indexed if (field, kind) == ("author_id", "keyword")} == {*COLLECTIONS}
    before = {name: held(qdrant, name) for name in COLLECTIONS}
    database["posts"].update_one({"_id": 0}, {"$set": {"content": "Looms were the first machines that took programs."}})
    database["articles"].delete_one({"_id": 2})
    database["users"].update_one({"fullName": "Grace Hopper"}, {"$set": {"fullName": "Rear Admiral Hopper"}})
    assert feed() == 0
    after = report(capsys.readouterr())
    assert {name: (one["written"], one["unchanged"], one["removed"]) for name, one in after.items()} == {
        "posts": (1, 1, 1),
        "articles": (1, 0, 1),
        "repos": (1, 1, 0),
    }
    texts = {payload["text"]: payload for name in COLLECTIONS for payload in held(qdrant, name).values()}
    assert "Looms were the first machines that took programs." in texts
    assert not any("Bernoulli" in text or "Jacquard" in text for text in texts)
    assert {payload["author"] for payload in texts.values()} == {"Ada Lovelace", "Alan Turing", "Rear Admiral Hopper"}
    moths = [key for key, payload in held(qdrant, "repos").items() if "moth" in payload["text"]]
    assert moths == [key for key, payload in before["repos"].items() if "moth" in payload["text"]], "same text, same id"


def test_a_cache_of_answers_can_see_that_the_content_has_changed(
    database: Any, environment: dict[str, str], qdrant: Qdrant
) -> None:
    def stamped() -> Any:
        [*_, (_, _, body)] = [one for one in qdrant.requests if one[:2] == ("PATCH", "/collections/posts")]
        return body["metadata"]["content"]

    assert feed() == 0
    first = stamped()
    assert feed() == 0
    assert stamped() == first
    database["posts"].update_one({"_id": 0}, {"$set": {"title": "Another title"}})
    assert feed() == 0
    assert stamped() != first


def test_a_lost_qdrant_is_one_line_and_the_same_command_finishes(
    database: Any, environment: dict[str, str], qdrant: Qdrant, capsys: pytest.CaptureFixture[str]
) -> None:
    qdrant.writes_left = 2
    assert feed() == 1
    assert "Qdrant answered 503 for collection" in one_line(capsys.readouterr())
    qdrant.restored()
    assert feed() == 0
    assert sum(one["unchanged"] for one in report(capsys.readouterr()).values()) > 0
    assert [len(held(qdrant, name)) for name in COLLECTIONS] == [2, 2, 2]


def test_a_short_absence_of_qdrant_is_waited_for(
    database: Any, environment: dict[str, str], qdrant: Qdrant, capsys: pytest.CaptureFixture[str]
) -> None:
    refusals = iter([AWAY] * 3)
    original = Qdrant._upsert

    async def reluctant(self: Qdrant, name: str, body: Any) -> Any:
        if next(refusals, None):
            raise ConnectionResetError
        return await original(self, name, body)

    qdrant._upsert = reluctant.__get__(qdrant)  # type: ignore[method-assign]
    assert feed("--patience", "60") == 0
    assert [len(held(qdrant, name)) for name in COLLECTIONS] == [2, 2, 2]


def test_a_worker_that_is_killed_is_one_line_and_the_same_command_finishes(
    mongo: Running, environment: dict[str, str], qdrant: Qdrant
) -> None:
    with MongoClient[dict[str, Any]](environment["DATABASE_HOST"]) as client:
        client.drop_database(real_corpus.DATABASE)
    real_corpus.fill(environment["DATABASE_HOST"], chunks=60)
    run = started(environment, "--mongo", "--qdrant", "--workers", "2")
    ours = psutil.Process(run.pid)

    def workers() -> list[psutil.Process]:
        found = []
        for one in ours.children():
            with suppress(psutil.NoSuchProcess):  # a library's own helper, which has ended
                found += [one] if "spawn_main" in " ".join(one.cmdline()) else []
        return found

    wait_until(lambda: bool(workers()), within_s=LIMIT_S, what="a worker")
    workers()[0].kill()
    code, _, err = ended(run)
    assert code == 1
    assert err.splitlines()[-1].startswith("ingest: a worker process was ended from outside")
    assert "Traceback" not in err
    code, out, err = ended(started(environment, "--mongo", "--qdrant", "--workers", "2"))
    assert code == 0, err
    assert all(one["held"] == one["chunks"] for one in json.loads(out)["collections"].values())


def test_vectors_of_another_shape_are_refused_before_anything_is_read(
    database: Any, environment: dict[str, str], server: HttpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(url=server.url, check_compatibility=False)
    client.create_collection("posts", vectors_config=models.VectorParams(size=8, distance=models.Distance.COSINE))
    wrong = "collection posts holds 8-D vectors under Cosine, the embedding model makes 384-D"
    assert feed() == 1
    assert wrong in one_line(capsys.readouterr())
    assert export_bundle.main(["--out", str(tmp_path)]) == 1
    assert wrong in one_line(capsys.readouterr(), "export_bundle")
    client.delete_collection("posts")
    client.close()
    assert feed() == 0


def test_points_of_somebody_else_are_never_removed(
    database: Any, environment: dict[str, str], server: HttpServer, qdrant: Qdrant, capsys: pytest.CaptureFixture[str]
) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(url=server.url, check_compatibility=False)
    client.create_collection("posts", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
    client.upsert("posts", [models.PointStruct(id=7, vector=[0.1] * 384, payload={"text": "mine"})])
    assert feed() == 1
    assert "collection posts holds 1 points that this job did not write" in one_line(capsys.readouterr())
    assert held(qdrant, "posts")["7"]["text"] == "mine"
    client.delete("posts", models.PointIdsList(points=[7]))
    client.close()
    assert feed() == 0


def test_an_empty_source_does_not_empty_the_index(
    database: Any, environment: dict[str, str], qdrant: Qdrant, capsys: pytest.CaptureFixture[str]
) -> None:
    assert feed() == 0
    capsys.readouterr()
    database["posts"].delete_many({})
    assert feed() == 1
    assert "the source has no document any more, the index holds 2 chunks" in one_line(capsys.readouterr())
    assert len(held(qdrant, "posts")) == 2
    assert feed("--empty-ok") == 0
    assert len(held(qdrant, "posts")) == 0


def test_documents_without_a_text_are_counted_with_their_reason(
    database: Any, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    database["posts"].insert_many(
        [{"_id": "a", "content": ""}, {"_id": "b", "content": "hi"}, {"_id": "c", "content": 3}]
    )
    assert feed() == 0
    captured = capsys.readouterr()
    assert report(captured)["posts"]["dropped"] == {"content is no text": 1, "no text": 1, "too short": 1}
    assert "posts: 5 read (1 content is no text, 1 no text, 1 too short), 2 documents" in captured.err


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"DATABASE_NAME": "other"}, "MongoDB's database other has no document in posts, articles, repos"),
        ({"DATABASE_HOST": "mongodb://u:hunter2@"}, "DATABASE_HOST is no MongoDB URL"),
        ({"QDRANT_CLOUD_URL": "no url"}, "QDRANT_CLOUD_URL: "),
        ({"QDRANT_CLOUD_URL": ""}, "QDRANT_CLOUD_URL"),
        ({"RAG_EMBEDDING_MODEL_PATH": "/nowhere.onnx"}, "RAG_EMBEDDING_MODEL_PATH: /nowhere.onnx"),
    ],
)
def test_a_wrong_setting_is_one_line_without_its_value(
    database: Any,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    told: dict[str, str],
    line: str,
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert feed() == 1
    said = one_line(capsys.readouterr())
    assert line in said
    assert "hunter2" not in said


def test_a_missing_setting_is_named(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_HOST")
    assert feed() == 1
    assert "DATABASE_HOST is required by" in one_line(capsys.readouterr())


def bundled(source: Path, home: Path, *options: str) -> int:
    return ingest.main([str(source), "--out", str(home), "--threads", "1", *options])


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("bad.md", b"# Title\n\xff\xfe broken", "bad.md: not UTF-8 at byte 8; convert it"),
        ("big.txt", None, "big.txt: over 20 MiB; split it"),
        ("bad.jsonl", b'{"text": 1}', 'bad.jsonl#1: a row is an object with a string "text"'),
    ],
)
def test_a_bad_file_is_told_before_anything_is_embedded_and_the_command_finishes_without_it(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, line: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "good.jsonl").write_text((corpus / "corpus.jsonl").read_text())
    with (source / name).open("wb") as file:
        file.write(content or b"")
        if content is None:
            file.truncate(100 * 1024**2)
    assert bundled(source, tmp_path / "home") == 1
    assert line in one_line(capsys.readouterr())
    (source / name).unlink()
    assert bundled(source, tmp_path / "home") == 0
    assert bundle.verify(bundle.resolve(tmp_path / "home")).count == 6


def test_an_empty_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundled(tmp_path, tmp_path / "home") == 1
    assert "no text in any" in one_line(capsys.readouterr())


def test_a_bundle_that_was_refused_is_finished_from_what_was_embedded(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundled(corpus, tmp_path, "--min-recall", "1.5") == 1
    assert "below 1.5" in one_line(capsys.readouterr())
    assert bundled(corpus, tmp_path, "--index", "flat") == 0
    assert "posts: 2 read, 2 documents, 2 chunks: 0 written, 2 unchanged" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_documents_of_mongodb_go_straight_into_a_bundle(
    database: Any, environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ingest.main(["--mongo", "--out", str(tmp_path), "--workers", "2"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert (manifest["count"], manifest["source"]) == (6, "mongodb:rag")


def exported(tmp_path: Path, *options: str) -> int:
    return export_bundle.main(["--out", str(tmp_path), "--patience", "1", *options])


@pytest.mark.parametrize("kind", ["sq8", "flat", "ivf-sq8", "hnsw"])
def test_an_export_has_every_index_type(
    database: Any, environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert feed() == 0
    capsys.readouterr()
    assert exported(tmp_path, "--index", kind) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert (manifest["indexType"], manifest["count"], manifest["recallAt10"]) == (kind, 6, 1.0)
    assert manifest["source"] == "qdrant:posts,articles,repos"


def test_an_export_is_refused_in_one_line_and_the_old_bundle_stays(
    database: Any,
    environment: dict[str, str],
    qdrant: Qdrant,
    server: HttpServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exported(tmp_path) == 1
    assert "collection posts does not exist; ingest it" in one_line(capsys.readouterr(), "export_bundle")
    assert feed() == 0
    assert exported(tmp_path) == 0
    old = bundle.resolve(tmp_path)
    capsys.readouterr()

    assert exported(tmp_path, "--min-recall", "1.1") == 1
    assert "recall@10 is 1.000, below 1.1" in one_line(capsys.readouterr(), "export_bundle")

    qdrant.counts_left = len(COLLECTIONS)
    assert exported(tmp_path) == 1
    assert "it was written meanwhile" in one_line(capsys.readouterr(), "export_bundle")
    qdrant.restored()

    made_by_another_model(qdrant)
    assert exported(tmp_path) == 1
    assert "was made by another embedding model" in one_line(capsys.readouterr(), "export_bundle")

    qdrant.failure = AWAY
    assert exported(tmp_path) == 1
    assert "Qdrant answered 503" in one_line(capsys.readouterr(), "export_bundle")
    assert bundle.resolve(tmp_path) == old
    assert bundle.verify(old).count == 6
    assert {path.name for path in tmp_path.iterdir()} == {old.name, "current"}


def made_by_another_model(qdrant: Qdrant) -> None:
    for name in COLLECTIONS:
        local = qdrant.store._client.collections[name]
        local.vectors[""] = -local.vectors[""]
