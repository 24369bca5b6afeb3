"""What the image and the zip archive are made from, without building either."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import lambda_zip, slim

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    found = (re.match(r"([a-z0-9.-]+)(?:\[.*\])?==(\S+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "service/Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_file_that_the_dockerfile_copies_is_let_through() -> None:
    """The list beside it leaves out all that is not named."""
    let_through = {
        line[1:] for line in (ROOT / "service/Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "service/Dockerfile").read_text(), re.MULTILINE)
    sources = {source.rstrip("/") for line in copied for source in line.split()[:-1]}
    assert {source for source in sources if not source.startswith("service")} == let_through - {"service"}
    assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("lock", ["service.txt", "lambda.txt"])
def test_the_image_runs_the_versions_that_are_tested(lock: str) -> None:
    tested = pins("dev.txt")
    assert {name: version for name, version in pins(lock).items() if tested.get(name, version) != version} == {}


def test_the_models_are_the_ones_that_are_tested() -> None:
    tested = pins("dev.txt") | pins("models.txt")
    assert pins("embedder.txt").items() <= tested.items()


def test_what_the_service_asks_of_aws_is_left() -> None:
    asked = {
        name
        for file in (ROOT / "service").rglob("*.py")
        for name in re.findall(r"client\(\s*\"([a-z0-9-]+)\"", file.read_text())
    }
    assert asked
    assert asked <= set(slim.AWS)


def test_slimming_leaves_code_and_takes_the_rest(tmp_path: Path) -> None:
    kept = ("onnxruntime/capi/state.so", "numpy/core.py", "botocore/data/ssm/x.json", "botocore/data/endpoints.json")
    gone = ("onnxruntime/tools/a.py", "numpy/tests/data/b.py", "botocore/data/ec2/x.json", "numpy/c.pyi", "hf_xet/d.so")
    for name in (*kept, *gone, "uvloop/loop.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert slim.main([str(tmp_path)]) == 0
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*kept, "uvloop/loop.so"}
    assert slim.main([str(tmp_path), "--zip"]) == 0
    assert not (tmp_path / "uvloop").exists()


def test_a_folder_without_packages_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert slim.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_archive_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "service").mkdir(parents=True)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "service/app.py").write_text("pass\n")
    for name in ("a.zip", "b.zip"):
        assert lambda_zip.main([str(folder), str(tmp_path / name)]) == 0
        (folder / "service/app.py").touch()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
    assert modes == {"run.sh": "0o100755", "service/app.py": "0o100644"}


def test_an_archive_that_lambda_would_refuse_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    with (tmp_path / "folder/model").open("wb") as sparse:
        sparse.truncate(lambda_zip.LIMIT - lambda_zip.LAYER + 1)
    assert lambda_zip.main([str(tmp_path / "folder"), str(tmp_path / "out.zip")]) == 65
    assert "tools/slim.py" in capsys.readouterr().err
    assert not (tmp_path / "out.zip").exists()
