"""EdgeBundle with real processes; the jobs are stand-ins that write and check small files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.edge.bundle import EdgeBundleProvider, digest
from infra.edge.errors import EdgeError
from tests.infra.edge_standins import write_jobs

if TYPE_CHECKING:
    from pathlib import Path

Props = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_jobs(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("first")
    return tmp_path


@pytest.fixture
def provider(root: Path) -> EdgeBundleProvider:
    return EdgeBundleProvider(str(root))


@pytest.fixture
def props(provider: EdgeBundleProvider) -> Props:
    return checked(provider, {"home": ".edge/test", "source": "docs", "index": "sq8", "minRecall": 0.98})


@pytest.fixture
def built(provider: EdgeBundleProvider, props: Props) -> Props:
    outs = provider.create(props).outs
    assert outs is not None
    return outs


def checked(provider: EdgeBundleProvider, props: Props) -> Props:
    result = provider.check({}, props)
    assert result.failures == []
    return result.inputs


def test_create_reports_what_the_manifest_says(built: Props, root: Path) -> None:
    assert built["path"].startswith(".edge/test/bundle-")
    assert (root / built["path"] / "index.faiss").read_text() == "first"
    assert built.items() >= {"count": 7, "dimension": 384, "model": "stand-in", "recall": 0.99}.items()


def test_the_job_s_progress_is_passed_on(
    provider: EdgeBundleProvider, props: Props, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.create(props)
    assert capsys.readouterr().err == "embed 1/1\n"


def test_the_demo_corpus_is_built_where_no_source_is_given(provider: EdgeBundleProvider, root: Path) -> None:
    props = checked(provider, {"home": ".edge/test", "index": "sq8", "minRecall": 0.98})
    outs = provider.create(props).outs
    assert outs is not None
    assert (root / outs["path"] / "index.faiss").read_text() == "demo"


def test_a_second_up_changes_nothing(provider: EdgeBundleProvider, built: Props, props: Props) -> None:
    diff = provider.diff("x", built, props)
    assert (diff.changes, diff.replaces) == (False, [])
    assert provider.read("x", built).outs == built


@pytest.mark.parametrize(
    ("change", "replaced"),
    [({"index": "flat"}, ["index"]), ({"source": None}, ["source"]), ({"minRecall": 0.995}, ["minRecall"])],
)
def test_other_settings_make_a_new_bundle(
    provider: EdgeBundleProvider, built: Props, props: Props, change: Props, replaced: list[str]
) -> None:
    assert provider.diff("x", built, {**props, **change}).replaces == replaced


def test_a_lower_demand_keeps_the_bundle(provider: EdgeBundleProvider, built: Props, props: Props) -> None:
    news = {**props, "minRecall": 0.5}
    diff = provider.diff("x", built, news)
    assert (diff.changes, diff.replaces) == (True, [])
    outs = provider.update("x", built, news).outs
    assert outs == {**built, "minRecall": 0.5}
    assert provider.diff("x", outs, news).changes is False


def test_changed_documents_make_a_new_bundle(
    provider: EdgeBundleProvider, built: Props, props: Props, root: Path
) -> None:
    (root / "docs" / "a.md").write_text("second")
    assert provider.diff("x", built, checked(provider, props)).replaces == ["sourceDigest"]


def test_the_digest_sees_a_renamed_file(root: Path) -> None:
    before = digest(root / "docs")
    (root / "docs" / "a.md").rename(root / "docs" / "b.md")
    assert digest(root / "docs") != before


@pytest.mark.parametrize("damage", ["corrupt", "gone"])
def test_a_damaged_bundle_is_noticed_and_replaced(
    provider: EdgeBundleProvider, built: Props, props: Props, root: Path, damage: str
) -> None:
    index = root / built["path"] / "index.faiss"
    if damage == "corrupt":
        index.write_text("other")
    else:
        (index.parent / "manifest.json").unlink()

    assert provider.diff("x", built, props).replaces == ["sha256"]
    assert provider.read("x", built).outs["sha256"] == ""


def test_a_replacement_leaves_the_old_bundle_until_it_is_deleted(
    provider: EdgeBundleProvider, built: Props, props: Props, root: Path
) -> None:
    new = provider.create(props).outs
    assert new is not None
    assert new["path"] != built["path"]
    assert (root / built["path"]).exists()

    provider.delete("x", built)

    assert not (root / built["path"]).exists()
    assert (root / new["path"]).exists()


def test_delete_removes_the_last_folder_and_its_parents(provider: EdgeBundleProvider, built: Props, root: Path) -> None:
    provider.delete("x", built)
    assert not (root / ".edge").exists()


def test_a_failed_build_is_one_line_and_leaves_no_folder(
    provider: EdgeBundleProvider, props: Props, root: Path
) -> None:
    (root / "docs" / "b.md").write_text("broken")
    with pytest.raises(EdgeError) as failure:
        provider.create(props)
    assert str(failure.value) == "ingest: the documents are broken"
    assert not (root / ".edge").exists()


@pytest.mark.parametrize("source", ["nowhere", "docs/a.md"])
def test_a_source_that_is_no_folder_names_the_key(provider: EdgeBundleProvider, source: str) -> None:
    (failure,) = provider.check({}, {"home": ".edge/test", "source": source, "index": "sq8"}).failures
    assert failure.reason.startswith(f"hybrid.edge.source = {source}: no such folder; `pulumi config set --path")


def test_a_newer_bundle_from_a_bucket_is_left_alone(provider: EdgeBundleProvider, props: Props, root: Path) -> None:
    """Turned on, it is a change of the state alone; then another bundle in the folder is none."""
    built = provider.create(props).outs
    assert built is not None
    following = {**props, "synced": True}
    diff = provider.diff("id", built, following)
    assert (diff.changes, diff.replaces) == (True, [])
    synced = provider.update("id", built, following).outs
    assert synced is not None
    assert not provider.diff("id", synced, following).changes
    newer = provider.create(checked(provider, {**props, "source": None})).outs
    assert newer is not None
    for name in ("index.faiss", "manifest.json"):
        (root / built["path"] / name).write_bytes((root / newer["path"] / name).read_bytes())
    assert not provider.diff("id", synced, following).changes
    assert provider.diff("id", built, props).replaces == ["sha256"]
    (root / built["path"] / "index.faiss").write_text("damaged")
    assert provider.diff("id", synced, following).replaces == ["sha256"]
