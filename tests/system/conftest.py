from __future__ import annotations

from pathlib import Path

import pytest

from service.jobs import ingest


@pytest.fixture(scope="session")
def one_document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one document in it."""
    documents = tmp_path_factory.mktemp("documents")
    (documents / "a.md").write_text("# Supervisor\nSupervisor keeps a number of processes running on UNIX hosts.")
    home = tmp_path_factory.mktemp("bundle")
    ingest.ingest(documents, home, "flat", min_recall=0.9, threads=1)
    return home
