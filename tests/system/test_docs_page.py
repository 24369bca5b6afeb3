"""The docs page in a real browser: its scripts run under its own policy, and its Authorize button works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from service.app import create_app
from service.parts import Parts
from service.settings import Settings
from tests.fakes import FakeEmbedder, FakeGenerator, FakeStore
from tests.hashed_keys import hashed, key_book
from tests.real_processes import serve


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    shown = browser.new_page()
    yield shown
    shown.close()


def test_a_key_that_is_typed_into_the_docs_page_is_sent(page: Page, tmp_path: Path) -> None:
    book = tmp_path / "keys.json"
    book.write_text(key_book(hashed("ada", "ada-key")))
    settings = Settings(
        vector_store="faiss", bundle_dir=tmp_path, metrics_port=0, docs=True, auth="api-keys", api_keys_from=str(book)
    )
    app = create_app(settings, Parts(FakeEmbedder(), FakeStore(), generator=FakeGenerator()))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    with serve(app, lifespan="on") as server:
        page.goto(f"{server.url}/docs")
        page.get_by_role("button", name="Authorize").first.click()
        page.locator(".auth-container input").first.fill("ada-key")
        page.locator(".auth-container button.authorize").first.click()
        page.get_by_role("button", name="Close").first.click()
        page.locator("#operations-openai-models_v1_models_get").click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response("**/v1/models") as answered:
            page.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    assert answered.value.request.headers["authorization"] == "Bearer ada-key"
    assert complaints == []
