from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from service.jobs import ingest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="session")
def one_document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one document in it."""
    documents = tmp_path_factory.mktemp("documents")
    (documents / "a.md").write_text("# Supervisor\nSupervisor keeps a number of processes running on UNIX hosts.")
    home = tmp_path_factory.mktemp("bundle")
    ingest.ingest(documents, home, "flat", min_recall=0.9, threads=1)
    return home


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; a machine without one skips, CI fails."""
    if CHROMIUM is None:
        reason = "no Chromium: install the package chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield started
        started.close()
