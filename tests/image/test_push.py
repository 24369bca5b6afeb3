"""`opsctl image push` with a real tool and a real registry: what is written is what the registry holds."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from opsctl.image import push as pushing
from opsctl.output import talk_console
from opsctl.project import Project
from opsctl.settings import Settings
from tests.image import caches
from tests.image.conftest import TAG, Built, Registry


@pytest.fixture
def project(registry: Registry, tmp_path: Path) -> Project:
    """A checkout whose stack has its registry on loopback."""
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\n")
    outputs = {"topology": "ecs", "region": "eu-north-1", "registry": f"{registry.address}/rag"}
    (tmp_path / "outputs.json").write_text(json.dumps(outputs))
    (tmp_path / "pulumi").write_text(f"#!/bin/sh\ncat {tmp_path}/outputs.json\n")
    (tmp_path / "pulumi").chmod(0o755)
    return Project(tmp_path)


def test_the_digest_that_is_written_is_the_registrys(
    built: Built, registry: Registry, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[str] = []
    engine = type("Engine", (), {"set_image": lambda _, reference: written.append(reference)})
    monkeypatch.setattr(pushing, "open_engine", lambda *_: engine())
    environ = registry.environ | {"PATH": f"{project.root}:{registry.environ['PATH']}"}
    reference = pushing.push(project, "dev", TAG, environ, talk_console(Settings(environ=environ)))
    assert written == [reference]
    repository, _, digest = reference.partition("@")
    assert repository == f"{registry.address}/rag"
    raw = registry.run("skopeo", "inspect", "--raw", f"docker://{reference}")
    assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == digest
    manifest = json.loads(raw)
    # Lambda takes one manifest in this form, no list of them; and this form keeps HEALTHCHECK.
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    config = json.loads(registry.run("skopeo", "inspect", "--config", "--raw", f"docker://{reference}"))["config"]
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]
    assert config["Labels"] == dict(built.image.labels)
    there = tmp_path / "second"
    registry.run("skopeo", "copy", "--quiet", f"docker://{reference}", f"dir:{there}")  # every blob can be fetched
    assert sum(path.stat().st_size for path in there.iterdir()) > 100_000_000


def test_a_production_stack_refuses_an_image_of_a_changed_tree(
    built: Built, registry: Registry, project: Project
) -> None:
    git = ["git", "-C", str(project.root), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    label = "org.opencontainers.image.revision=" + "a" * 40 + "-dirty"
    container = caches.buildah("from", "--pull-never", TAG).stdout.strip()
    caches.buildah("config", "--label", label, container)
    caches.buildah("commit", "--quiet", "--rm", "--format", "docker", container, "localhost/rag-platform:dirty")
    environ = registry.environ | {"PATH": f"{project.root}:{registry.environ['PATH']}"}
    with pytest.raises(pushing.NotUsable, match="no commit holds"):
        pushing.push(project, "prod", "localhost/rag-platform:dirty", environ, talk_console(Settings(environ=environ)))
