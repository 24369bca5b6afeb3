"""The newest bundle of a bucket: the archive first, then the pointer, then what is too much goes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opsctl.edge.export import publish
from opsctl.edge.job import Source
from opsctl.endpoint.ports import Conflict, Stored
from opsctl.errors import CloudRefused, NotUsable
from service.bundle_sync import Pointer

MANIFEST = {
    "formatVersion": 1,
    "embeddingModel": "m",
    "embeddingSha256": "0" * 64,
    "dimension": 384,
    "metric": "cosine",
    "count": 7,
    "indexType": "sq8",
    "recallAt10": 0.99,
    "files": {"index.faiss": "a" * 64, "chunks.sqlite": "b" * 64},
    "created": "2026-01-02T03:04:05Z",
    "source": "test",
}


@dataclass
class Latest:
    bucket: Bucket
    overtaken: bool = False

    def read(self) -> Stored | None:
        text = self.bucket.pointer
        return Stored(text, "v1", 0.0) if text else None

    def write(self, text: str, on: str | None) -> str:
        if self.overtaken or on != ("v1" if self.bucket.pointer else None):
            raise Conflict("written by somebody else", next_step="read it again")
        named = json.loads(text)["key"]
        assert named in self.bucket.objects, "the pointer never names what isn't there yet"
        self.bucket.pointer = text
        return "v2"


@dataclass
class Bucket:
    name: str = "bundles"
    prefix: str = "bundles/"
    objects: dict[str, str] = field(default_factory=dict)
    pointer: str | None = None
    uploads: int = 0

    def __post_init__(self) -> None:
        self.latest = Latest(self)

    def holds(self, key: str, size: int, sha256: str) -> bool:
        assert size > 0
        return self.objects.get(key) == sha256

    def upload(self, key: str, archive: Path, sha256: str) -> None:
        assert archive.stat().st_size > 0
        self.uploads += 1
        self.objects[key] = sha256

    def archives(self) -> list[str]:
        return sorted(self.objects)

    def remove(self, key: str) -> None:
        del self.objects[key]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (
        ("manifest.json", json.dumps(MANIFEST)),
        ("index.faiss", "vectors"),
        ("chunks.sqlite", "texts"),
        ("notes.txt", "not part of it"),
    ):
        (tmp_path / name).write_text(text)
    return tmp_path


def silent(_: str) -> None:
    pass


def test_an_export_is_the_newest_and_its_pointer_is_what_an_edge_reads(folder: Path) -> None:
    bucket = Bucket()
    done = publish(folder, bucket, keep=5, tell=silent)
    assert done.uri == "s3://bundles/bundles/20260102030405-aaaaaaaaaaaa.tar.zst"
    pointer = Pointer.model_validate_json(bucket.pointer or "")
    assert pointer.key in bucket.objects
    assert pointer.manifest.files == MANIFEST["files"]
    assert pointer.unpacked_bytes == sum((folder / name).stat().st_size for name in MANIFEST["files"]) + len(  # type: ignore[attr-defined]
        json.dumps(MANIFEST)
    )


def test_the_same_bundle_again_sends_nothing(folder: Path) -> None:
    bucket = Bucket()
    publish(folder, bucket, keep=5, tell=silent)
    again = publish(folder, bucket, keep=5, tell=silent)
    assert (again.sent, bucket.uploads) == (False, 1)


def test_only_so_many_are_kept_and_the_newest_always(folder: Path) -> None:
    bucket = Bucket(objects={f"bundles/2025010{day}000000-x.tar.zst": "x" for day in range(1, 6)})
    done = publish(folder, bucket, keep=2, tell=silent)
    assert bucket.archives() == ["bundles/20250105000000-x.tar.zst", done.uri.removeprefix("s3://bundles/")]
    assert len(done.removed) == 4
    older = Bucket(objects={f"bundles/2027010{day}000000-x.tar.zst": "x" for day in range(1, 4)})
    done = publish(folder, older, keep=1, tell=silent)
    assert done.uri.removeprefix("s3://bundles/") in older.objects, "an older one that is exported is the newest now"


def test_whoever_was_quicker_is_not_overwritten(folder: Path) -> None:
    bucket = Bucket()
    bucket.latest.overtaken = True
    with pytest.raises(CloudRefused, match="another export of s3://bundles ended meanwhile"):
        publish(folder, bucket, keep=1, tell=silent)
    assert bucket.pointer is None


@pytest.mark.parametrize("lost", ["manifest.json", "index.faiss", "chunks.sqlite"])
def test_what_is_no_bundle_is_not_sent(folder: Path, lost: str) -> None:
    (folder / lost).unlink()
    bucket = Bucket()
    with pytest.raises(NotUsable, match="is no bundle"):
        publish(folder, bucket, keep=1, tell=silent)
    assert bucket.objects == {}


def test_the_key_of_qdrant_is_in_no_argument_and_no_text() -> None:
    source = Source("https://q.example.com", ("posts",), api_key="planted")
    assert "planted" not in repr(source)
    assert source.environment("/home")["QDRANT_APIKEY"] == "planted"
    assert "AWS_PROFILE" not in source.environment("/home")
