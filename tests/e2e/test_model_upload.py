"""`opsctl model upload` against S3: a killed process goes on, and what arrives is what was sent."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import uuid
from pathlib import Path

import boto3
import pytest

from opsctl.aws.weights import WeightsBucket
from opsctl.cli import main
from opsctl.model.copies import newest_copy
from opsctl.model.folder import FolderWeights
from opsctl.model.upload import Part, Upload
from tests.e2e.handed_over import handed_over
from tests.hub_server import COMMIT, TOKEN, model_hub

PART = 5 * 2**20  # the least that S3 takes, but for the last one
SIZE = 5 * PART + 123
MODEL = "acme/tuned"


class Killed(WeightsBucket):
    """A bucket whose process dies when its third part was sent."""

    def write_part(self, key: str, upload: str, number: int, content: bytes) -> Part:
        part = super().write_part(key, upload, number, content)
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return part


@pytest.fixture
def bucket(cloud: None) -> WeightsBucket:
    name = f"weights-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return WeightsBucket.open(name, "us-east-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tuned"
    root.mkdir()
    (root / "config.json").write_text("{}")
    (root / "model.safetensors").write_bytes(os.urandom(SIZE))
    return root


def _upload(folder: Path, bucket: WeightsBucket) -> None:
    Upload(FolderWeights.open(MODEL, folder), bucket, lambda _path, _done: None, PART).run()


def _killed(folder: Path, name: str) -> None:
    _upload(folder, Killed.open(name, "us-east-1"))


def test_a_killed_run_leaves_parts_and_the_next_sends_only_the_others(folder: Path, bucket: WeightsBucket) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(folder, bucket.name))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert newest_copy(bucket, MODEL) is None
    (left,) = bucket.s3.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    there = bucket.parts(left["Key"], left["UploadId"])
    assert 3 in there

    result = Upload(FolderWeights.open(MODEL, folder), bucket, lambda _path, _done: None, PART).run()
    assert result.sent_bytes == SIZE - PART * len(there)
    assert bucket.read(result.copy.prefix + "model.safetensors") == (folder / "model.safetensors").read_bytes()
    assert "Uploads" not in bucket.s3.list_multipart_uploads(Bucket=bucket.name)
    assert newest_copy(bucket, MODEL) == result.copy


def test_the_command_copies_a_gated_model_once_and_keeps_the_token_to_itself(
    bucket: WeightsBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    stack = handed_over(folder, {"region": "us-east-1", "endpoint": {"name": "twin", "bucket": bucket.name}})
    monkeypatch.chdir(folder)
    files = {"config.json": b"{}", "tokenizer.json": b"t" * 3000, "model.safetensors": os.urandom(200_000)}
    with model_hub("acme/gated", files, gated=True) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert main(["model", "upload", "--stack", stack.name, "acme/gated"]) == 2
        assert "set HF_TOKEN" in capfd.readouterr().err
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert main(["model", "upload", "--stack", stack.name, "acme/gated", "--output", "json"]) == 0
        said = capfd.readouterr()
        assert main(["model", "upload", "--stack", stack.name, "acme/gated", "--output", "json"]) == 0
        again = json.loads(capfd.readouterr().out)
    first = json.loads(said.out)
    assert (first["files"], first["bytes"], first["sentBytes"]) == (3, 203_002, 203_002)
    assert (again["uri"], again["sentFiles"], again["sentBytes"]) == (first["uri"], 0, 0)
    assert first["uri"] == f"s3://{bucket.name}/models/acme/gated/{COMMIT}/"
    stored = bucket.s3.list_objects_v2(Bucket=bucket.name)["Contents"]
    everything = [bucket.read(each["Key"]) or b"" for each in stored]
    assert not any(TOKEN.encode() in content for content in everything)
    assert TOKEN not in said.out + said.err
