"""`opsctl image build` with tools that only write down what they were asked."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import COMMIT, ModelHub, model_hub
from tests.unit.opsctl.conftest import Run

MODEL = "acme/cross-encoder"
FILES = {"onnx/model.onnx": b"model" * 400, "tokenizer.json": b"{}"}
MANIFEST = '{"schemaVersion": 2}'
DIGEST = "sha256:" + hashlib.sha256(MANIFEST.encode()).hexdigest()
OTHER = "sha256:" + "b" * 64
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in
  *imagetools*) echo '{{"digest": "{other}"}}' ;;
  "inspect --raw"*) printf '{manifest}' ;;
  *FromImageDigest*) echo {other} ;;
  *RepoDigests*) echo '["docker.io/library/python@{other}"]' ;;
  *type=local*) dest=$(echo "$*" | sed 's/.*dest=//; s/ .*//'); echo archive > "$dest/lambda.zip" ;;
  push*|save*) : ;;
  scan*) for word in "$@"; do case "$word" in cyclonedx-json=*) echo '{{}}' > "${{word#*=}}" ;; esac; done ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/nowhere")
    monkeypatch.chdir(tmp_path)
    for name in ("sh", "sed", "basename", "git"):  # the played tools' own, and none of this machine's container tools
        (tmp_path / "bin").mkdir(exist_ok=True)
        real = subprocess.run(
            ["/bin/sh", "-c", f"PATH=/usr/bin:/bin command -v {name}"], capture_output=True, text=True, check=True
        )
        (tmp_path / "bin" / name).symlink_to(real.stdout.strip())
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub(MODEL, FILES) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def install(checkout: Path, *names: str) -> None:
    for name in names:
        program = checkout / "bin" / name
        program.write_text(TOOL.format(log=checkout / "log", manifest=MANIFEST, other=OTHER))
        program.chmod(0o755)


def asked(checkout: Path, word: str) -> list[str]:
    lines = (checkout / "log").read_text().splitlines()
    return next(line for line in lines if word in line.split()).split()


@pytest.mark.parametrize(
    ("tools", "digest"),
    [(("docker",), OTHER), (("podman",), OTHER), (("buildah",), OTHER), (("buildah", "skopeo"), DIGEST)],
)
def test_each_tool_builds_on_the_digest_that_the_registry_gives(
    tools: tuple[str, ...], digest: str, opsctl: Run, checkout: Path
) -> None:
    install(checkout, *tools)
    ended = opsctl("image", "build", "--no-sbom", "-o", "json")
    assert ended.code == 0, ended.err
    assert ended.document["base"] == {"name": "docker.io/library/python:3.12-slim", "digest": digest}
    words = asked(checkout, "build")
    assert f"BASE=docker.io/library/python@{digest}" in words
    assert f"org.opencontainers.image.base.digest={digest}" in words
    assert "rag-platform:latest" in words
    assert ("--provenance=false" in words) == (tools[0] == "docker")  # Lambda takes no list of manifests


def test_a_digest_that_is_given_is_not_asked_for(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah", "skopeo")
    given = ("--base", f"mirror:5000/python:3.12-slim@{OTHER}", "--adapter", f"mirror:5000/adapter@{OTHER}")
    assert opsctl("image", "build", "--no-sbom", *given).code == 0
    assert f"BASE=mirror:5000/python@{OTHER}" in asked(checkout, "build")
    assert "skopeo" not in (checkout / "log").read_text()


def test_offline_builds_on_what_is_here_and_says_so(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah", "skopeo")
    ended = opsctl("image", "build", "--no-sbom", "--offline", "-o", "json")
    assert ended.document["base"]["digest"] is None
    assert "--pull-never" in asked(checkout, "build")
    assert "skopeo" not in (checkout / "log").read_text()


def test_a_registry_that_does_not_answer_names_both_ways_out(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah", "skopeo")
    (checkout / "bin/skopeo").write_text("#!/bin/sh\necho no such host >&2; exit 1\n")
    ended = opsctl("image", "build", "--no-sbom")
    assert (ended.code, ended.out) == (3, "")
    assert "no such host" in ended.err
    assert "--offline" in ended.err
    assert "NAME@sha256:" in ended.err


def test_the_reranker_of_the_hub_is_pinned_by_commit_and_checksum(opsctl: Run, checkout: Path, hub: ModelHub) -> None:
    install(checkout, "buildah")
    ended = opsctl("image", "build", "--no-sbom", "--offline", "--reranker", MODEL, "-o", "json")
    assert ended.code == 0, ended.err
    sha256 = hashlib.sha256(FILES["onnx/model.onnx"]).hexdigest()
    pinned = {"model": MODEL, "revision": COMMIT, "file": "onnx/model.onnx", "sha256": sha256}
    assert ended.document["reranker"] == pinned
    words = asked(checkout, "build")
    assert {f"RERANKER={MODEL}", f"RERANKER_REVISION={COMMIT}", f"RERANKER_SHA256={sha256}"} <= set(words)


def test_the_reranker_of_a_stack_is_baked_for_it(opsctl: Run, checkout: Path, hub: ModelHub) -> None:
    install(checkout, "buildah")
    text = (
        (Path(__file__).parents[3] / "Pulumi.dev.yaml")
        .read_text()
        .replace("retrieval: {", f"retrieval: {{reranker: {MODEL}, ")
    )
    if MODEL not in text:
        text = text.rstrip() + f"\n  rag-platform:retrieval: {{reranker: {MODEL}}}\n"
    (checkout / "Pulumi.dev.yaml").write_text(text)
    ended = opsctl("image", "build", "--no-sbom", "--offline", "--stack", "dev", "-o", "json")
    assert ended.code == 0, ended.err
    assert ended.document["reranker"]["model"] == MODEL


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--reranker", "nonsense"), "'nonsense' is no hub id"),
        (("--reranker", MODEL, "--reranker-file", "onnx/none.onnx"), "has no onnx/none.onnx"),
        (("--reranker", MODEL, "--reranker-sha256", "0" * 64), "not 0000"),
        (("--base", "python@latest"), "'latest' is no digest"),
    ],
)
def test_a_pin_that_cannot_hold_is_one_line(
    options: tuple[str, ...], why: str, opsctl: Run, checkout: Path, hub: ModelHub
) -> None:
    install(checkout, "buildah")
    ended = opsctl("image", "build", "--no-sbom", "--offline", *options)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err.splitlines()[-1]


def test_the_archive_is_what_the_build_exports(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah")
    ended = opsctl("image", "build", "--offline", "--zip", "dist/lambda.zip")
    assert (ended.code, ended.out.strip()) == (0, "dist/lambda.zip")
    assert (checkout / "dist/lambda.zip").read_text() == "archive\n"
    assert {"--target", "zip"} <= set(asked(checkout, "build"))


def test_an_archive_has_no_room_for_a_reranker(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah")
    ended = opsctl("image", "build", "--offline", "--zip", "dist/lambda.zip", "--reranker", MODEL)
    assert (ended.code, ended.out) == (2, "")
    assert "retrieval.reranker: none" in ended.err


def test_a_reranker_with_commit_and_checksum_needs_no_hub(
    opsctl: Run, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(checkout, "buildah")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    pinned = ("--reranker", f"{MODEL}@{COMMIT}", "--reranker-sha256", "a" * 64)
    ended = opsctl("image", "build", "--no-sbom", "--offline", *pinned, "-o", "json")
    assert ended.code == 0, ended.err
    assert ended.document["reranker"]["sha256"] == "a" * 64


def test_the_components_are_listed_by_syft(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah", "syft")
    assert opsctl("image", "build", "--offline").code == 0
    assert (checkout / "dist/sbom.cdx.json").exists()
    (checkout / "bin/syft").unlink()
    ended = opsctl("image", "build", "--offline")
    assert (ended.code, ended.out) == (2, "")
    assert "make image-tools" in ended.err


def test_a_failed_build_says_that_its_words_are_above(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah")
    (checkout / "bin/buildah").write_text("#!/bin/sh\nexit 7\n")
    ended = opsctl("image", "build", "--offline", "--no-sbom")
    assert ended.code == 1
    assert "`buildah build` ended with code 7" in ended.err


def test_docker_without_its_daemon_gives_way(opsctl: Run, checkout: Path) -> None:
    install(checkout, "docker")
    (checkout / "bin/docker").write_text("#!/bin/sh\nexit 1\n")
    ended = opsctl("image", "build", "--offline", "--no-sbom")
    assert ended.code == 2
    assert "daemon" in ended.err
    install(checkout, "podman")
    assert opsctl("image", "build", "--offline", "--no-sbom").code == 0


def test_an_image_says_which_commit_it_is_of(opsctl: Run, checkout: Path) -> None:
    install(checkout, "buildah")
    (checkout / ".gitignore").write_text("bin\nlog\n")
    git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    clean = opsctl("image", "build", "--offline", "--no-sbom", "-o", "json").document["revision"]
    assert len(clean) == 40
    (checkout / "Pulumi.dev.yaml").write_text("config: {}\n")  # no image holds it
    assert opsctl("image", "build", "--offline", "--no-sbom", "-o", "json").document["revision"] == clean
    (checkout / "service.py").touch()
    assert opsctl("image", "build", "--offline", "--no-sbom", "-o", "json").document["revision"] == f"{clean}-dirty"
