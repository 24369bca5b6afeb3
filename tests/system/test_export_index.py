"""`opsctl export-index` with the real job: Qdrant -> bundle -> a bucket, and one line where the job refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsctl import cli, stack, stack_config
from opsctl.aws import bundles
from opsctl.stack import Bundle, Delivery
from service.bundle_sync import Pointer
from service.jobs import ingest
from tests.fake_qdrant import FakeQdrant
from tests.infra.cloud_cases import config
from tests.real_processes import HttpServer, serve
from tests.unit.opsctl.edge.test_export import Bucket

KEY = "planted-qdrant-key"
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


@dataclass
class World:
    """What a hybrid stack has around it."""

    bucket: Bucket
    qdrant: HttpServer


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    documents = tmp_path / "documents"
    documents.mkdir()
    for title in ("Supervisor", "Runit", "Systemd"):
        (documents / f"{title}.md").write_text(
            f"# {title}\n{title} keeps a number of processes running on UNIX hosts.\n"
        )
    bucket = Bucket()
    monkeypatch.setattr(bundles.BundleBucket, "open", lambda *_: bucket)
    delivery = Delivery(topology="hybrid", region="eu-north-1", bundle=Bundle(bucket="bundles", prefix="bundles/"))
    monkeypatch.setattr(stack, "read_delivery", lambda *_: delivery)
    changed = {"topology": "hybrid", "retrieval": {"collections": ["articles"]}}
    monkeypatch.setattr(stack_config, "read_stack_config", lambda *_: config("dev", changed))
    with serve(FakeQdrant(api_key=KEY).app()) as server:
        monkeypatch.setenv("QDRANT_CLOUD_URL", server.url)
        monkeypatch.setenv("QDRANT_APIKEY", KEY)
        assert ingest.main([str(documents), "--qdrant", "--workers", "1"]) == 0
        monkeypatch.delenv("QDRANT_CLOUD_URL")
        yield World(bucket, server)


def test_what_qdrant_holds_is_the_newest_bundle(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["export-index", "--stack", "dev", "--qdrant", world.qdrant.url, "--index", "flat", "--output", "json"]
    capfd.readouterr()
    assert cli.main(words) == 0
    said = capfd.readouterr()
    found = json.loads(said.out)
    assert (found["bundle"]["indexType"], found["bundle"]["count"], found["sent"]) == ("flat", 3, True)
    assert found["bundle"]["recallAt10"] == 1
    pointer = Pointer.model_validate_json(world.bucket.pointer or "")
    assert pointer.manifest.source == "qdrant:articles"
    assert KEY not in said.out + said.err


def test_what_the_job_refuses_is_one_line_and_nothing_is_sent(
    world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_APIKEY", "another-planted-key")
    capfd.readouterr()
    assert cli.main(["export-index", "--stack", "dev", "--qdrant", world.qdrant.url]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("opsctl: export_bundle: ")
    assert "nothing was sent" in last
    assert "planted" not in last
    assert (world.bucket.pointer, world.bucket.objects) == (None, {})


def test_a_stack_file_without_an_address_says_which_flag_helps(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export-index", "--stack", "dev"]) == 2
    assert "name the Qdrant with --qdrant URL" in capfd.readouterr().err


def test_a_stack_without_a_bucket_says_how_it_gets_one(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack, "read_delivery", lambda *_: Delivery(topology="ecs"))
    assert cli.main(["export-index", "--stack", "dev", "--qdrant", world.qdrant.url]) == 2
    assert "has no bucket for bundles" in capfd.readouterr().err
