from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from opsctl.errors import ToolMissing
from opsctl.image.tool import ContainerTool, tool_with
from tests.unit.opsctl.conftest import PlayedService, Reply, Run

DIGEST = "sha256:" + "a" * 64
REGISTRY = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/rag"

# Plays podman, buildah and docker as far as a push goes: keeps what it was asked, knows one image.
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in
  *inspect*RepoDigests*) echo '["other/rag@sha256:0", "{registry}@{digest}"]' ;;
  *inspect*) case "$*" in *rag-platform:latest) exit 0 ;; *) exit 1 ;; esac ;;
  login*) read password; echo "password $password" >> {log} ;;
  push*--digestfile*) printf '{digest}' > "$3" ;;
esac
"""


def install(folder: Path, name: str) -> Path:
    log = folder / "log"
    program = folder / name
    program.write_text(TOOL.format(log=log, registry=REGISTRY, digest=DIGEST))
    program.chmod(0o755)
    return log


@pytest.mark.parametrize("name", ["docker", "podman", "buildah"])
def test_each_tool_pushes_and_says_the_registrys_digest(name: str, tmp_path: Path) -> None:
    log = install(tmp_path, name)
    tool = tool_with("rag-platform:latest", {"PATH": f"{tmp_path}:/bin:/usr/bin"})
    tool.login("host", "AWS", "planted-secret")
    assert tool.push("rag-platform:latest", f"{REGISTRY}:1") == DIGEST
    asked = log.read_text().splitlines()
    assert f"{name} login --username AWS --password-stdin host" in asked
    assert "password planted-secret" in asked
    assert f"{name} tag rag-platform:latest {REGISTRY}:1" in asked


def test_a_machine_without_a_container_tool_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="docker, podman, buildah"):
        tool_with("rag-platform:latest", {"PATH": str(tmp_path)})


def test_a_tool_keeps_the_password_out_of_its_repr(tmp_path: Path) -> None:
    from opsctl.aws import RegistryLogin

    assert "planted-secret" not in repr(RegistryLogin("AWS", "planted-secret"))
    assert "podman" in repr(ContainerTool("podman", str(tmp_path), {}))


@pytest.fixture
def stack(tmp_path: Path, service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a podman and a pulumi of its own, beside a played ECR."""
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\n")
    install(tmp_path, "podman")
    token = b64encode(b"AWS:planted-secret").decode()
    service.says("/", Reply(body={"authorizationData": [{"authorizationToken": token}]}))
    (tmp_path / "pulumi").write_text(f"#!/bin/sh\ncat {tmp_path}/outputs.json\n")
    (tmp_path / "pulumi").chmod(0o755)
    outputs = {"topology": "ecs", "region": "eu-north-1", "registry": REGISTRY}
    (tmp_path / "outputs.json").write_text(json.dumps(outputs))
    written: dict[str, Any] = {"set_image": (tmp_path / "written").write_text}
    monkeypatch.setattr("opsctl.image.push.open_engine", lambda *_: type("Engine", (), written))
    monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_push_logs_in_and_writes_the_digest_into_the_stack_config(opsctl: Run, stack: Path) -> None:
    ended = opsctl("image", "push", "--stack", "dev", "-o", "json")
    assert ended.code == 0, ended.err
    assert ended.document == {"version": 1, "stack": "dev", "image": f"{REGISTRY}@{DIGEST}"}
    assert (stack / "written").read_text() == f"{REGISTRY}@{DIGEST}"
    asked = (stack / "log").read_text()
    assert "password planted-secret" in asked
    assert "planted-secret" not in ended.out + ended.err
    assert not any("planted-secret" in line for line in asked.splitlines() if line.startswith("podman"))


def test_an_image_that_is_not_there_says_how_to_build_it(opsctl: Run, stack: Path) -> None:
    ended = opsctl("image", "push", "--stack", "dev", "nope:1")
    assert (ended.code, ended.out) == (2, "")
    assert "opsctl image build --tag nope:1" in ended.err
    assert not (stack / "written").exists()


def test_a_refused_push_is_the_clouds_refusal_and_writes_nothing(opsctl: Run, stack: Path) -> None:
    script = (stack / "podman").read_text()
    (stack / "podman").write_text(script.replace("push*--digestfile*)", "push*) echo denied >&2; exit 1 ;;\n  never)"))
    ended = opsctl("image", "push", "--stack", "dev")
    assert ended.code == 3
    assert "`podman push` failed: denied" in ended.err
    assert not (stack / "written").exists()


def test_a_production_stack_takes_no_image_of_a_dirty_tree(opsctl: Run, stack: Path) -> None:
    subprocess.run(["git", "init", "-q", str(stack)], check=True)  # noqa: S607 - the user's own git
    ended = opsctl("image", "push", "--stack", "prod")
    assert (ended.code, ended.out) == (2, "")
    assert "'prod' is a production stack" in ended.err


def test_a_stack_file_that_was_written_to_makes_no_tree_dirty(opsctl: Run, stack: Path) -> None:
    git = ["git", "-C", str(stack), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    (stack / "Pulumi.prod.yaml").write_text("config: {}\n")  # as `pulumi config set` does before the first image
    ended = opsctl("image", "push", "--stack", "prod")
    assert ended.code == 0, ended.err


def test_a_first_phase_that_was_never_built_has_no_registry(opsctl: Run, stack: Path) -> None:
    (stack / "outputs.json").write_text(json.dumps({"topology": "ecs"}))
    ended = opsctl("image", "push", "--stack", "dev")
    assert ended.code == 2
    assert "opsctl deploy --stack dev" in ended.err
