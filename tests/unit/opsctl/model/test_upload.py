from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from opsctl.errors import CheckFailed, CloudRefused, NotUsable
from opsctl.model.copies import manifest_key, newest_copy
from opsctl.model.folder import FolderWeights
from opsctl.model.hub import HubWeights
from opsctl.model.upload import Part, Upload
from opsctl.model.weights import WeightFile
from opsctl.settings import Hub
from tests.hub_server import model_hub

PART = 1000


@dataclass
class MemoryBucket:
    """A bucket that dies at the write it is told to, as a process does that is killed there."""

    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    dies_at: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, key: str) -> bytes | None:
        return self.objects[key][0] if key in self.objects else None

    def holds(self, key: str, size: int, sha256: str) -> bool:
        return key in self.objects and (len(self.objects[key][0]), self.objects[key][1]) == (size, sha256)

    def write(self, key: str, content: bytes, sha256: str) -> None:
        self._count(key)
        self.objects[key] = (content, sha256)

    def resume(self, key: str, sha256: str) -> str:
        self.uploads.setdefault(key, {})
        return sha256

    def parts(self, key: str, upload: str) -> Mapping[int, Part]:
        return {number: self._part(number, content) for number, content in self.uploads[key].items()}

    def write_part(self, key: str, upload: str, number: int, content: bytes) -> Part:
        self._count(f"{key}#{number}")
        self.uploads[key][number] = content
        return self._part(number, content)

    def close(self, key: str, upload: str, parts: list[Part]) -> None:
        assert [part.number for part in parts] == sorted(self.uploads[key])
        self.objects[key] = (b"".join(content for _, content in sorted(self.uploads.pop(key).items())), upload)

    def abandon(self, key: str, upload: str) -> None:
        del self.uploads[key]

    def _part(self, number: int, content: bytes) -> Part:
        return Part(number, "tag", hashlib.sha256(content).hexdigest())

    def _count(self, what: str) -> None:
        with self.lock:  # parts are sent side by side
            if self.dies_at is not None and len(self.writes) >= self.dies_at:
                raise CloudRefused("the connection is gone", next_step="run it again")
            self.writes.append(what)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tuned"
    (root / ".cache").mkdir(parents=True)
    (root / ".cache" / "lock").write_text("not a part of the model")
    (root / "config.json").write_text("{}")
    (root / "model.safetensors").write_bytes(bytes(range(250)) * 26)  # 6,500 bytes: seven parts
    (root / "empty.txt").write_bytes(b"")
    return root


def run(folder: Path, bucket: MemoryBucket) -> Upload:
    return Upload(FolderWeights.open("acme/tuned", folder), bucket, lambda _path, _done: None, PART)


def test_a_copy_is_whole_when_its_manifest_says_so(folder: Path) -> None:
    bucket = MemoryBucket()
    copy = run(folder, bucket).run().copy
    assert newest_copy(bucket, "acme/tuned") == copy
    for file in copy.files:
        assert bucket.read(copy.prefix + file.path) == (folder / file.path).read_bytes()
    assert {file.path for file in copy.files} == {"config.json", "empty.txt", "model.safetensors"}


def test_a_second_run_sends_nothing(folder: Path) -> None:
    bucket = MemoryBucket()
    run(folder, bucket).run()
    bucket.writes.clear()
    result = run(folder, bucket).run()
    assert (bucket.writes, result.sent_bytes, result.sent_files) == ([], 0, 0)


@pytest.mark.parametrize("dies_at", range(10))
def test_a_run_that_died_at_any_write_goes_on_where_it_stopped(folder: Path, dies_at: int) -> None:
    bucket = MemoryBucket(dies_at=dies_at)
    with pytest.raises(CloudRefused):
        run(folder, bucket).run()
    assert newest_copy(bucket, "acme/tuned") is None
    before, bucket.dies_at = set(bucket.writes), None
    bucket.writes.clear()
    copy = run(folder, bucket).run().copy
    assert not before & set(bucket.writes), "what was there was sent again"
    assert len(before) + len(bucket.writes) == 2 + 7 + 1
    assert bucket.read(copy.prefix + "model.safetensors") == (folder / "model.safetensors").read_bytes()


def test_a_part_that_is_not_what_it_should_be_is_sent_again(folder: Path) -> None:
    bucket = MemoryBucket(dies_at=8)
    with pytest.raises(CloudRefused):
        run(folder, bucket).run()
    (parts,) = bucket.uploads.values()
    parts[1] = b"broken"
    bucket.dies_at = None
    copy = run(folder, bucket).run().copy
    assert bucket.read(copy.prefix + "model.safetensors") == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_not_what_was_announced_is_never_closed(folder: Path, name: str) -> None:
    bucket, upload = MemoryBucket(), run(folder, MemoryBucket())
    (folder / name).write_bytes(bytes((folder / name).stat().st_size))
    with pytest.raises(CheckFailed, match=f"{name} isn't what its source announced"):
        replace(upload, bucket=bucket).run()
    assert not any(key.endswith(name) for key in bucket.objects)
    assert not bucket.uploads
    assert newest_copy(bucket, "acme/tuned") is None


def test_a_model_of_the_hub_goes_from_range_to_part() -> None:
    content = bytes(range(251)) * 30  # 7,530 bytes: eight parts
    bucket = MemoryBucket(dies_at=4)
    with model_hub("acme/tiny", {"config.json": b"{}", "model.safetensors": content}) as hub:
        weights = HubWeights.open("acme/tiny", "main", Hub(hub.url))
        with pytest.raises(CloudRefused):
            Upload(weights, bucket, lambda _path, _done: None, PART).run()
        bucket.dies_at = None
        copy = Upload(weights, bucket, lambda _path, _done: None, PART).run().copy
    assert bucket.read(copy.prefix + "model.safetensors") == content
    assert len(bucket.writes) == len(set(bucket.writes)) == 1 + 8 + 1


def test_a_changed_file_is_another_revision_and_the_old_copy_stays(folder: Path) -> None:
    bucket = MemoryBucket()
    old = run(folder, bucket).run().copy
    (folder / "config.json").write_text('{"hidden_size": 8}')
    new = run(folder, bucket).run().copy
    assert old.revision != new.revision
    assert newest_copy(bucket, "acme/tuned") == new
    assert bucket.read(old.prefix + "config.json") == b"{}"


def test_a_folder_that_no_engine_could_load_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotUsable, match=r"holds no config\.json"):
        FolderWeights.open("acme/tuned", tmp_path)


def test_a_damaged_manifest_names_the_command_that_mends_it() -> None:
    bucket = MemoryBucket({manifest_key("acme/tuned"): (b"{", "")})
    with pytest.raises(NotUsable, match="opsctl model upload acme/tuned"):
        newest_copy(bucket, "acme/tuned")


def test_a_store_that_lists_no_checksums_is_believed_by_its_md5_tags() -> None:
    tag = hashlib.md5(b"content", usedforsecurity=False).hexdigest()
    assert Part(1, f'"{tag}"').matches(b"content")
    assert not Part(1, f'"{tag}"').matches(b"other")


def test_a_range_of_a_file_is_read(folder: Path) -> None:
    weights = FolderWeights.open("acme/tuned", folder)
    file = next(each for each in weights.files if each.path == "model.safetensors")
    assert isinstance(file, WeightFile)
    assert weights.read(file, 10, 20) == bytes(range(10, 20))
