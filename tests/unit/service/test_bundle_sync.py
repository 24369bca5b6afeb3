"""The newest bundle comes to a host whole or not at all, and what serves is never the worse for trying."""

from __future__ import annotations

import errno
import io
import json
import os
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from opsctl.edge.archive import pack
from service import bundle, bundle_home, bundle_sync
from service.bundle_archive import unpack
from service.bundle_sync import Pointer, sync
from service.errors import StartupError
from service.jobs import edge_bundles, sync_bundle
from tests.unit.service.test_bundle import SHA, write

if TYPE_CHECKING:
    from pathlib import Path

    from opsctl.edge.archive import Packed


class Store:
    """A bucket in memory whose line can be cut."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.pointer: Pointer | None = None
        self.cut_after: int | None = None
        self.offsets: list[int] = []
        self.down = False

    def put(self, packed: Packed, **changes: Any) -> None:
        key = f"bundles/{packed.name}"
        self.objects[key] = packed.path.read_bytes()
        self.pointer = Pointer.model_validate_json(packed.pointer(key)).model_copy(update=changes)

    def latest(self) -> Pointer | None:
        if self.down:
            raise OSError("no answer from S3 (EndpointConnectionError)")
        return self.pointer

    def read(self, key: str, offset: int) -> Iterator[bytes]:
        self.offsets.append(offset)
        content = self.objects[key][offset:]
        end = len(content) if self.cut_after is None else min(self.cut_after, len(content))
        for start in range(0, end, 1000):
            yield content[start : min(start + 1000, end)]
        if end < len(content):
            raise OSError("no answer from S3 (IncompleteReadError)")


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """Writes a bundle of `count` chunks elsewhere and packs it."""

    def make(count: int, **claims: object) -> Packed:
        folder = tmp_path / f"made-{count}"
        write(folder, count=count, claims=claims or None)
        return pack(bundle.resolve(folder), tmp_path / f"{count}.tar.zst")

    return make


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An edge that answers from 300 chunks."""
    write(tmp_path / "home", count=300)
    return tmp_path / "home"


def count(home: Path) -> int:
    return bundle.verify(bundle.resolve(home)).count


def test_the_newest_bundle_becomes_current_and_the_one_before_is_kept(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(301))
    assert sync(home, store, model_sha256=SHA).state == "switched"
    assert count(home) == 301
    assert [bundle.read_manifest(folder).count for folder in bundle_home.kept(home)] == [300, 301]
    assert sync(home, store, model_sha256=SHA).state == "current"
    assert store.offsets == [0]
    assert not (home / bundle_sync.DOWNLOADS).exists()


def test_an_empty_home_takes_the_newest(tmp_path: Path, made: Any) -> None:
    store = Store()
    assert sync(tmp_path / "new", store, model_sha256=SHA).state == "nothing there"
    store.put(made(301))
    sync(tmp_path / "new", store, model_sha256=SHA)
    assert count(tmp_path / "new") == 301


def test_a_download_that_is_cut_goes_on_where_it_stopped(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(2000))
    whole = store.pointer.bytes if store.pointer else 0
    store.cut_after = whole // 3
    for attempt in range(3):
        with pytest.raises(OSError, match="IncompleteReadError"):
            sync(home, store, model_sha256=SHA)
        assert count(home) == 300
        assert store.offsets[-1] == attempt * (whole // 3)
    sync(home, store, model_sha256=SHA)
    assert count(home) == 2000
    assert store.offsets[-1] == 3 * (whole // 3)


def test_what_arrives_damaged_is_removed_and_fetched_anew(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(301))
    ((key, good),) = store.objects.items()
    store.objects[key] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(OSError, match="arrived damaged"):
        sync(home, store, model_sha256=SHA)
    assert count(home) == 300
    store.objects[key] = good
    sync(home, store, model_sha256=SHA)
    assert (count(home), store.offsets) == (301, [0, 0])


def test_what_is_half_there_of_an_older_bundle_is_forgotten(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(400))
    store.cut_after = 1000
    with pytest.raises(OSError, match="IncompleteReadError"):
        sync(home, store, model_sha256=SHA)
    store.cut_after = None
    store.put(made(401))
    sync(home, store, model_sha256=SHA)
    assert (count(home), store.offsets) == (401, [0, 0])


def test_a_bundle_that_does_not_fit_is_refused_before_it_is_fetched(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(301), unpacked_bytes=2**60)
    with pytest.raises(OSError, match="MB are needed") as caught:
        sync(home, store, model_sha256=SHA)
    assert caught.value.errno == errno.ENOSPC
    assert (count(home), store.offsets) == (300, [])


def test_a_disk_that_fills_up_on_the_way_gets_its_room_back(
    home: Path, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    store.put(made(301))

    def full(key: str, offset: int) -> Iterator[bytes]:
        yield b"x" * 10
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "read", full)
    with pytest.raises(OSError, match="No space left"):
        sync(home, store, model_sha256=SHA)
    assert [*(home / bundle_sync.DOWNLOADS).iterdir()] == []
    assert count(home) == 300


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"embedding_sha256": "0" * 64}, "another embedding model"),
        ({"recall_at_10": 0.5}, "recall@10 0.5000 is below 0.9"),
        ({"format_version": 2}, "format 2, this release reads 1"),
    ],
)
def test_what_this_host_cannot_serve_is_not_even_fetched(
    home: Path, made: Any, claims: dict[str, object], said: str
) -> None:
    store = Store()
    store.put(made(301, **claims))
    with pytest.raises(StartupError, match=said):
        sync(home, store, model_sha256=SHA, min_recall=0.9)
    assert (count(home), store.offsets) == (300, [])


def test_going_back_holds_until_something_newer_comes_or_somebody_asks(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(301))
    sync(home, store, model_sha256=SHA)
    assert edge_bundles.main(["back", "--home", str(home)]) == 0
    assert count(home) == 300
    assert sync(home, store, model_sha256=SHA).state == "held back"
    assert sync(home, store, model_sha256=SHA, again=True).state == "switched"
    assert (count(home), store.offsets) == (301, [0]), "it was still here"
    edge_bundles.main(["back", "--home", str(home)])
    store.put(made(302))
    assert sync(home, store, model_sha256=SHA).state == "switched"
    assert count(home) == 302


def test_there_is_nothing_to_go_back_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge_bundles.main(["back", "--home", str(home)]) == 1
    assert "no bundle before" in capsys.readouterr().err
    assert count(home) == 300


def test_two_looks_at_once_do_not_meet(home: Path, made: Any) -> None:
    store = Store()
    store.put(made(301))
    with bundle_sync._alone(home), pytest.raises(OSError, match="another look"):
        sync(home, store, model_sha256=SHA)


def test_an_offline_week_is_one_line_and_its_end_another(
    home: Path, made: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_bundle.packaged, "MINILM_ONNX_INT8", type("Model", (), {"sha256": SHA}))
    store = Store()
    store.down = True
    for _ in range(5):
        assert sync_bundle.look(home, store, min_recall=0, again=False, quiet=True) == sync_bundle.EX_TEMPFAIL
    assert capsys.readouterr().err == "sync_bundle: failed: no answer from S3 (EndpointConnectionError)\n"
    sync_bundle.look(home, store, min_recall=0, again=True, quiet=False)
    assert "no answer" in capsys.readouterr().err, "whoever asks is told, however often"
    store.down = False
    store.put(made(301))
    assert sync_bundle.look(home, store, min_recall=0, again=False, quiet=True) == 0
    assert capsys.readouterr().err.startswith("sync_bundle: switched: ")
    edge_bundles.main(["status", "--home", str(home)])
    said = json.loads(capsys.readouterr().out)
    assert said["sync"]["state"] == "switched"
    assert said["sync"]["synced"] == said["sync"]["checked"]
    assert [one["chunks"] for one in said["bundles"]] == [301, 300]
    assert said["current"] == said["bundles"][0]["id"]


def archive(path: Path, **files: bytes) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    path.write_bytes(zstandard.compress(plain.getvalue()))
    return path


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"..__evil": b"x"}, "has no place in a bundle"),
        ({"manifest_dot_json": b"x" * 1001}, "has no place in a bundle"),
        ({"manifest_dot_json": b"{}"}, "lacks chunks.sqlite, index.faiss"),
    ],
)
def test_an_archive_holds_a_bundle_and_nothing_else(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StartupError, match=said):
        unpack(archive(tmp_path / "a.tar.zst", **files), folder, most_bytes=1000)
    assert not (tmp_path / "evil").exists()


def test_what_is_no_archive_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.tar.zst").write_bytes(os.urandom(100))
    with pytest.raises(StartupError, match=r"is no tar\.zst of a bundle"):
        unpack(tmp_path / "a.tar.zst", tmp_path, most_bytes=1000)
