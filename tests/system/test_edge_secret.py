"""The key of a fallback on an edge without a cloud half, on the real engine: encrypted, private, gone in the end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from tests.local_engine import Engine, free_ports

pytestmark = pytest.mark.pulumi
KEY = "planted-fallback-key"
LIMIT_S = 600


def test_the_key_is_in_a_private_file_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.md").write_text("# Supervisor\nSupervisor keeps processes running on UNIX hosts.\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    engine = Engine(f"secret-{os.getpid()}", tmp_path, free_ports())
    engine.configure(privacy="allow-cloud")
    file = tmp_path / "stack.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"]["rag-platform:hybrid"]["fallback"] = {"kind": "service", "url": "https://rag.example.com"}
    file.write_text(yaml.safe_dump(document))
    engine.run("stack", "init", engine.name, folder=tmp_path / "project")
    path = "rag-platform:secrets.fallbackApiKey"
    engine.on_stack("config", "set", "--path", path, KEY, "--secret")
    said = engine.on_stack("up", "--yes", "--skip-preview", limit_s=LIMIT_S)
    try:
        kept = engine.folder / "files" / "fallbackApiKey"
        assert kept.read_text() == KEY
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        said += engine.on_stack("preview", "--expect-no-changes", "--diff", limit_s=LIMIT_S)
        others = [each for each in engine.folder.rglob("*") if each.is_file() and each != kept]
        states = [each for each in tmp_path.rglob("*") if each.is_file()]
        assert any(each.name.endswith(".json") for each in states)
        assert not [each for each in (*others, *states) if KEY.encode() in each.read_bytes()]
        assert KEY not in said
        for pid in engine.pids().values():
            told = (Path("/proc", str(pid), name).read_bytes() for name in ("environ", "cmdline"))
            assert not any(KEY.encode() in text for text in told)
    finally:
        engine.on_stack("destroy", "--yes", "--skip-preview", limit_s=LIMIT_S)
    assert not engine.folder.exists()
