from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import pytest

from service import bundle
from service.adapters import faiss_build
from service.adapters.faiss_index import BundleAuthors, FaissStore
from service.bundle import Chunk, Manifest
from service.errors import StageUnavailable, StartupError
from tests.fakes import FakeEmbedder

SHA = "f" * 64


def vectors(count: int, dimension: int = 8, seed: int = 7) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def chunks(count: int) -> list[Chunk]:
    names = sorted(("posts", "articles", "repos")[n % 3] for n in range(count))
    return [Chunk(f"id{n}", names[n], f"Author {n % 5}", f"t{n}", f"u{n}", f"text {n}") for n in range(count)]


def write(
    home: Path,
    count: int = 300,
    dimension: int = 8,
    kind: bundle.IndexType = "sq8",
    claims: dict[str, object] | None = None,
) -> Manifest:
    rows = vectors(count, dimension)
    index = faiss_build.build(rows, kind)
    with bundle.replacing(home) as staging:
        faiss_build.write(index, staging / bundle.INDEX)
        bundle.write_chunks(staging / bundle.CHUNKS, chunks(count))
        facts = {
            "embedding_model": "fake",
            "embedding_sha256": SHA,
            "dimension": dimension,
            "count": count,
            "index_type": kind,
            "recall_at_10": 1.0,
            "files": bundle.checksums(staging),
            "created": datetime.now(UTC),
            "source": "test",
        } | (claims or {})
        manifest = Manifest.model_validate(facts)
        bundle.write_manifest(staging, manifest)
    return manifest


def open_store(home: Path, dimension: int = 8, sha256: str = SHA) -> FaissStore:
    return FaissStore.open(home, FakeEmbedder(dimension=dimension), embedder_sha256=sha256)


@pytest.mark.parametrize("kind", ["sq8", "flat", "ivf-sq8", "hnsw"])
async def test_every_index_type_finds_a_stored_vector_with_its_text(tmp_path: Path, kind: bundle.IndexType) -> None:
    write(tmp_path, kind=kind)
    store = open_store(tmp_path)
    found = await store.search(vectors(300)[[5, 250]], collections=("posts", "articles", "repos"), limit=3)
    assert [ranking[0].id for ranking in found] == ["id5", "id250"]
    assert found[0][0].text == "text 5"
    assert found[0][0].score == pytest.approx(1.0, abs=0.02)
    store.close()


@pytest.mark.parametrize("kind", ["sq8", "flat", "ivf-sq8", "hnsw"])
async def test_filters_restrict_the_search_and_not_its_result(tmp_path: Path, kind: bundle.IndexType) -> None:
    write(tmp_path, kind=kind)
    store = open_store(tmp_path)
    query = vectors(300)[[0]]
    for collections, authors in ((("repos",), None), (("posts", "repos"), None), (("repos",), ("author 3",))):
        (ranking,) = await store.search(query, collections=collections, limit=10, authors=authors)
        assert len(ranking) == 10
        assert {chunk.collection for chunk in ranking} <= set(collections)
        assert authors is None or {chunk.author for chunk in ranking} == {"Author 3"}
    assert await store.search(query, collections=("repos",), limit=5, authors=()) == [[]]
    assert await store.search(query, collections=("other",), limit=5) == [[]]
    store.close()


async def test_a_collection_that_is_named_twice_does_not_widen_the_search(tmp_path: Path) -> None:
    write(tmp_path)
    store = open_store(tmp_path)
    (ranking,) = await store.search(vectors(300)[[0]], collections=("repos", "repos", "repos"), limit=10)
    assert {chunk.collection for chunk in ranking} == {"repos"}
    store.close()


async def test_texts_that_can_not_be_read_are_a_stage_that_is_down(tmp_path: Path) -> None:
    write(tmp_path)
    store = open_store(tmp_path)
    store.close()
    with pytest.raises(StageUnavailable, match="retrieval: the bundle's texts can't be read"):
        await store.search(vectors(300)[[0]], collections=("repos",), limit=3)
    (bundle.resolve(tmp_path) / bundle.CHUNKS).unlink()
    with pytest.raises(StageUnavailable, match="documents: "):
        await BundleAuthors(tmp_path).author_ids("x")


async def test_authors_are_found_by_name_in_any_case(tmp_path: Path) -> None:
    write(tmp_path)
    assert await BundleAuthors(tmp_path).author_ids("AUTHOR 1") == ("Author 1",)
    assert await BundleAuthors(tmp_path).author_ids("nobody") == ()


def test_case_is_more_than_ascii() -> None:
    assert (
        bundle.author_key("ZO\N{LATIN CAPITAL LETTER E WITH DIAERESIS}  x")
        == "zo\N{LATIN SMALL LETTER E WITH DIAERESIS} x"
    )


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", [bundle.INDEX, bundle.CHUNKS])
def test_a_flipped_byte_is_refused_by_the_files_name(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    corrupt(bundle.resolve(tmp_path) / name)
    with pytest.raises(StartupError, match=rf"{name} is corrupt: sha256 .* build the bundle again: python -m"):
        open_store(tmp_path)


@pytest.mark.parametrize("name", [bundle.INDEX, bundle.CHUNKS, bundle.MANIFEST])
def test_a_missing_file_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (bundle.resolve(tmp_path) / name).unlink()
    with pytest.raises(StartupError) as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value)
    assert bundle.BUILD_COMMAND in str(caught.value)


@pytest.mark.parametrize(
    ("claims", "opened", "reason"),
    [
        ({}, {"dimension": 9}, "its dimension is 8, the service runs 9"),
        ({"embedding_model": "other"}, {}, "its embedding model is other, the service runs fake"),
        ({}, {"sha256": "0" * 64}, "its embedding model sha256"),
        ({"count": 299}, {}, "holds 300 x 8-D vectors and 300 texts, but 299 x 8-D"),
        ({"dimension": 9}, {"dimension": 9}, "holds 300 x 8-D vectors and 300 texts, but 300 x 9-D"),
        ({"format_version": 2}, {}, "format version 2, this release reads 1"),
    ],
)
def test_a_bundle_that_does_not_match_is_refused_with_both_values(
    tmp_path: Path, claims: dict[str, object], opened: dict[str, object], reason: str
) -> None:
    write(tmp_path, claims=claims)
    with pytest.raises(StartupError, match=reason):
        open_store(tmp_path, **opened)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"formatVersion": "x"}'])
def test_a_manifest_that_is_not_one_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    write(tmp_path)
    (bundle.resolve(tmp_path) / bundle.MANIFEST).write_bytes(content)
    with pytest.raises(StartupError) as caught:
        bundle.verify(bundle.resolve(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_failed_export_leaves_the_old_bundle_and_no_rest(tmp_path: Path) -> None:
    write(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())

    def export() -> None:
        with bundle.replacing(tmp_path) as staging:
            (staging / bundle.INDEX).write_bytes(b"half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        export()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    bundle.verify(bundle.resolve(tmp_path))


def test_the_bundle_before_the_current_one_is_kept_and_no_older_one(tmp_path: Path) -> None:
    for seed in range(4):
        write(tmp_path, count=100 + seed)
    assert len([path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]) == bundle.KEEP
    assert bundle.verify(bundle.resolve(tmp_path)).count == 103


def test_a_reader_during_exports_always_sees_a_whole_bundle(tmp_path: Path) -> None:
    write(tmp_path, count=50)
    done = threading.Event()
    seen: list[int] = []
    errors: list[Exception] = []

    def read() -> None:
        while not done.is_set():
            try:
                seen.append(bundle.verify(bundle.resolve(tmp_path)).count)
            except Exception as exc:  # noqa: BLE001 - reported by the assertion below
                errors.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(8):
        write(tmp_path, count=60 + n)
    done.set()
    reader.join()
    assert not errors
    assert len(set(seen)) > 1


def test_recall_is_measured_against_exact_search() -> None:
    rows = vectors(2000, 32)
    assert faiss_build.recall_at_10(faiss_build.build(rows, "flat"), rows) == 1.0
    coarse = faiss_build.build(rows, "ivf-sq8")
    coarse.nprobe = 1
    assert faiss_build.recall_at_10(coarse, rows) < 0.9


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(("kind", "is_mapped"), [("ivf-sq8", True), ("sq8", False)])
def test_an_ivf_index_is_mapped_and_not_read(tmp_path: Path, kind: bundle.IndexType, *, is_mapped: bool) -> None:
    write(tmp_path, count=2000, dimension=64, kind=kind)
    store = open_store(tmp_path, dimension=64)
    assert mapped(bundle.resolve(tmp_path).resolve() / bundle.INDEX) is is_mapped
    store.close()


@pytest.mark.parametrize("kind", ["ivf-sq8", "hnsw"])
def test_a_search_is_widened_until_its_recall_is_good_and_stays_so_in_the_file(
    tmp_path: Path, kind: bundle.IndexType
) -> None:
    rows = vectors(4000, 32)
    index = faiss_build.build(rows, kind)
    if kind == "ivf-sq8":
        index.nprobe = 1
    else:
        index.hnsw.efSearch = 1
    narrow = faiss_build.recall_at_10(index, rows)
    recall = faiss_build.tuned_recall(index, rows, 0.98)
    assert narrow < 0.9
    assert recall >= 0.98
    faiss_build.write(index, tmp_path / "index")
    assert faiss_build.recall_at_10(faiss.read_index(str(tmp_path / "index")), rows) == pytest.approx(recall, abs=0.01)


def test_a_recall_that_can_not_be_reached_ends_with_the_best() -> None:
    rows = vectors(500, 16)
    assert 0.9 < faiss_build.tuned_recall(faiss_build.build(rows, "sq8"), rows, 2.0) <= 1.0


@pytest.mark.parametrize("kind", ["sq8", "flat", "ivf-sq8", "hnsw"])
def test_an_index_that_holds_another_vector_is_noticed(kind: bundle.IndexType) -> None:
    rows = vectors(300, 16)
    index = faiss_build.build(rows, kind)
    assert faiss_build.least_cosine(index, rows) > 0.99
    rows[123] = -rows[123]
    assert faiss_build.least_cosine(index, rows) < 0


def test_two_builds_in_one_home_do_not_meet(tmp_path: Path) -> None:
    with bundle.replacing(tmp_path) as staging:
        with pytest.raises(StartupError, match="another process builds a bundle there"):
            write(tmp_path)
        assert staging.exists()
        (staging / bundle.MANIFEST).write_text(json.dumps({"files": {bundle.INDEX: "0" * 64}}))


def test_what_a_killed_build_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / ".new-left").mkdir(parents=True)
    write(tmp_path)
    assert not (tmp_path / ".new-left").exists()


def test_the_manifest_says_what_the_contract_names(tmp_path: Path) -> None:
    write(tmp_path)
    assert set(json.loads((bundle.resolve(tmp_path) / bundle.MANIFEST).read_text())) == {
        "formatVersion", "embeddingModel", "embeddingSha256", "dimension", "metric", "count", "indexType", "recallAt10",
        "files", "created", "source",
    }  # fmt: skip
