"""Backups of data stores: MongoDB's wire protocol -> files of mongodump -> MongoDB; Qdrant's snapshots likewise."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo import MongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.adapters import backup_bucket
from service.adapters.mongo_dump import cut
from service.jobs import backup
from tests.fake_buckets import FakeBuckets
from tests.real_processes import Running, serve

DATABASE = "backups"
USERS = [
    {"_id": bson.ObjectId(f"{number:024x}"), "fullName": f"Ada {number}", "born": datetime(1815, 12, 10, tzinfo=UTC)}
    for number in range(1200)
]
POSTS = [{"_id": f"p{number}", "score": bson.Int64(number), "raw": b"\x00\xff", "none": None} for number in range(3)]
Database = Any


@pytest.fixture
def database(mongo: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    url = f"mongodb://127.0.0.1:{mongo.port}"
    monkeypatch.setenv("DATABASE_HOST", url)
    monkeypatch.setenv("DATABASE_NAME", DATABASE)
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database(DATABASE)
        found = client[DATABASE]
        found["users"].insert_many(USERS)
        found["users"].create_index([("fullName", 1)], name="by_name")
        found["posts"].insert_many(POSTS)
        yield found
        client.drop_database(DATABASE)


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    return {name: list(database[name].find().sort("_id", 1)) for name in sorted(database.list_collection_names())}


def saved(folder: Path, store: str = "mongo") -> Path:
    (made,) = (folder / store).iterdir()
    return made


def test_what_was_saved_comes_back_whole(database: Database, tmp_path: Path) -> None:
    before = contents(database)
    assert backup.main(["save", "mongo", "--to", str(tmp_path)]) == 0
    database["users"].delete_many({})
    database["posts"].update_one({"_id": "p1"}, {"$set": {"score": 9}})
    assert backup.main(["restore", "mongo", "--from", str(saved(tmp_path)), "--replace"]) == 0
    assert contents(database) == before
    assert {"fullName": 1} in [dict(each["key"]) for each in database["users"].list_indexes()]


def test_a_finished_backup_is_counted_and_a_failed_one_is_not(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup.main(["save", "mongo", "--to", str(tmp_path), "--metrics", "rag-platform/s"]) == 0
    (line,) = [json.loads(each) for each in capsys.readouterr().err.splitlines() if each.startswith("{")]
    (of,) = line["_aws"]["CloudWatchMetrics"]
    assert (of["Namespace"], of["Dimensions"]) == ("rag-platform/s", [["Service", "Store"]])
    assert [line[name] for name in ("Service", "Store", *(each["Name"] for each in of["Metrics"]))] == [
        "rag-platform",
        "mongo",
        1,
    ]
    for name in contents(database):
        database.drop_collection(name)
    assert backup.main(["save", "mongo", "--to", str(tmp_path), "--metrics", "rag-platform/s"]) == 1
    assert "_aws" not in capsys.readouterr().err


def test_the_files_are_those_of_mongodump(database: Database, tmp_path: Path) -> None:
    assert backup.main(["save", "mongo", "--to", str(tmp_path)]) == 0
    folder = saved(tmp_path) / DATABASE
    assert {each.name for each in folder.iterdir()} == {
        f"{name}{end}" for name in ("users", "posts") for end in (".bson.gz", ".metadata.json.gz")
    }
    documents = bson.decode_all(gzip.decompress((folder / "posts.bson.gz").read_bytes()))
    assert [each["_id"] for each in documents] == ["p0", "p1", "p2"]
    described = json.loads(gzip.decompress((folder / "users.metadata.json.gz").read_bytes()))
    assert {"options", "indexes", "collectionName", "type"} <= described.keys()
    listed = json.loads((saved(tmp_path) / "manifest.json").read_text())
    assert {each["name"]: each["count"] for each in listed["files"]}[f"{DATABASE}/users.bson.gz"] == len(USERS)


def test_a_damaged_backup_is_refused_before_anything_is_dropped(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(database)
    assert backup.main(["save", "mongo", "--to", str(tmp_path)]) == 0
    file = saved(tmp_path) / DATABASE / "users.bson.gz"
    file.write_bytes(file.read_bytes()[:-9])
    assert backup.main(["restore", "mongo", "--from", str(saved(tmp_path)), "--replace"]) == 1
    assert "users.bson.gz is not what was written" in capsys.readouterr().err.splitlines()[-1]
    assert contents(database) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "{saved}"], "say --replace"),
        (["--from", "{folder}/none", "--replace"], "no finished backup at"),
        (["--from", "s3://", "--replace"], "names no bucket"),
    ],
)
def test_a_restore_that_can_not_be_meant_says_why(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert backup.main(["save", "mongo", "--to", str(tmp_path)]) == 0
    given = [word.format(saved=saved(tmp_path), folder=tmp_path) for word in words]
    assert backup.main(["restore", "mongo", *given]) == 1
    assert said in capsys.readouterr().err


def test_an_empty_database_is_no_backup(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database.client.drop_database(DATABASE)
    assert backup.main(["save", "mongo", "--to", str(tmp_path)]) == 1
    assert "nothing to save" in capsys.readouterr().err
    assert list(tmp_path.rglob("manifest.json")) == []


def test_a_store_that_is_away_is_one_line_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_HOST", "mongodb://rag:planted@127.0.0.1:9/?serverSelectionTimeoutMS=200")
    monkeypatch.setattr("service.adapters.mongo_dump.TIMEOUT_S", 0.2)
    monkeypatch.setattr(backup.MongoDump.open.__func__, "__kwdefaults__", {"timeout_s": 0.2})  # type: ignore[attr-defined]
    assert backup.main(["save", "mongo", "--to", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "MongoDB gave no answer" in said
    assert "planted" not in said


@dataclass
class SnapshotNode:
    """What a node of Qdrant does with snapshots, as far as the calls go: its data are bytes."""

    data: dict[str, bytes]
    key: str = "planted"
    snapshots: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        place = "/collections/{name}/snapshots"
        return Starlette(
            routes=[
                Route("/collections", self._guarded(self._list)),
                Route(place, self._guarded(self._make), methods=["POST"]),
                Route(f"{place}/upload", self._guarded(self._recover), methods=["POST"]),
                Route(f"{place}/{{id}}", self._guarded(self._fetch), methods=["GET"]),
                Route(f"{place}/{{id}}", self._guarded(self._remove), methods=["DELETE"]),
            ]
        )

    def _guarded(self, answer: Any) -> Any:
        async def asked(request: Request) -> Response:
            if request.headers.get("api-key") != self.key:
                return JSONResponse({"status": {"error": "no key"}}, 403)
            found: Response = await answer(request)
            return found

        return asked

    async def _list(self, _: Request) -> Response:
        return JSONResponse({"result": {"collections": [{"name": name} for name in self.data]}})

    async def _make(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.snapshots[f"{name}-1"] = self.data[name]
        return JSONResponse({"result": {"name": f"{name}-1"}})

    async def _fetch(self, request: Request) -> Response:
        return Response(self.snapshots[request.path_params["id"]])

    async def _remove(self, request: Request) -> Response:
        self.removed.append(request.path_params["id"])
        return JSONResponse({"result": True})

    async def _recover(self, request: Request) -> Response:
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        _, _, part = (await request.body()).partition(b"\r\n\r\n")
        self.data[request.path_params["name"]] = part.removesuffix(b"\r\n--" + boundary + b"--\r\n")
        return JSONResponse({"result": True})


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[SnapshotNode], list[str]]]:
    found = [SnapshotNode({"posts": b"posts" * 400_000, "repos": b"r"}), SnapshotNode({"posts": b"other shard"})]
    monkeypatch.setenv("QDRANT_APIKEY", "planted")
    monkeypatch.setenv("QDRANT_CLOUD_URL", "http://127.0.0.1:9")
    with serve(found[0].app()) as first, serve(found[1].app()) as second:
        yield found, ["--node", first.url, "--node", second.url]


def test_each_node_of_qdrant_is_saved_and_put_back_by_itself(
    nodes: tuple[list[SnapshotNode], list[str]], tmp_path: Path
) -> None:
    found, named = nodes
    before = [dict(node.data) for node in found]
    assert backup.main(["save", "qdrant", "--to", str(tmp_path), *named]) == 0
    assert found[0].removed == ["posts-1", "repos-1"]  # a node's disk holds none of them
    for node in found:
        node.data = dict.fromkeys(node.data, b"")
    assert backup.main(["restore", "qdrant", "--from", str(saved(tmp_path, "qdrant")), "--replace", *named]) == 0
    assert [node.data for node in found] == before


def test_a_cluster_of_another_size_is_refused(
    nodes: tuple[list[SnapshotNode], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, named = nodes
    assert backup.main(["save", "qdrant", "--to", str(tmp_path), *named]) == 0
    place = str(saved(tmp_path, "qdrant"))
    assert backup.main(["restore", "qdrant", "--from", place, "--replace", *named[:2]]) == 1
    assert "the backup is of 2 nodes, 1 are named" in capsys.readouterr().err


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBuckets]:
    fake = FakeBuckets()
    with serve(fake.app()) as server:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": server.url,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "eu-north-1",
            "AWS_DEFAULT_REGION": "eu-north-1",
        }.items():
            monkeypatch.setenv(name, value)
        small = backup_bucket.TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
        monkeypatch.setattr(backup_bucket, "TRANSFER", small)
        yield fake


def test_a_bucket_takes_and_gives_streams_that_are_larger_than_a_part(buckets: FakeBuckets) -> None:
    blocks = [bytes([number]) * 2**20 for number in range(12)]
    bucket = backup_bucket.BackupBucket("rag", "day/")
    bucket.write("large", iter(blocks))
    assert len(buckets.parts["rag/day/large"]) == 3
    assert b"".join(bucket.read("large")) == b"".join(blocks)


def test_a_database_is_saved_in_a_bucket_and_comes_back(database: Database, buckets: FakeBuckets) -> None:
    before = contents(database)
    assert backup.main(["save", "mongo", "--to", "s3://rag/daily/"]) == 0
    (listed,) = [key for key in buckets.objects if key.endswith("manifest.json")]
    assert listed.startswith("rag/daily/mongo/")
    database["posts"].drop()
    place = listed.removesuffix("/manifest.json")
    assert backup.main(["restore", "mongo", "--from", f"s3://{place}", "--replace"]) == 0
    assert contents(database) == before


def test_a_bucket_that_is_closed_is_one_line(
    database: Database, buckets: FakeBuckets, capsys: pytest.CaptureFixture[str]
) -> None:
    buckets.denied = True
    assert backup.main(["save", "mongo", "--to", "s3://rag/daily"]) == 1
    assert "S3 answered AccessDenied; the role needs s3:PutObject" in capsys.readouterr().err


@pytest.mark.parametrize("blocks", [[b"\x05\x00\x00"], [b"\x02\x00\x00\x00"], [b"\xff\xff\xff\xff"]])
def test_what_is_no_bson_is_refused(blocks: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"BSON|ends within"):
        list(cut(blocks))


def test_documents_are_cut_wherever_the_blocks_end() -> None:
    stream = b"".join(bson.encode(each) for each in POSTS)
    pieces = [stream[place : place + 7] for place in range(0, len(stream), 7)]
    assert [bson.decode(each)["_id"] for each in cut(pieces)] == ["p0", "p1", "p2"]
