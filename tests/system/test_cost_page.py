"""The cost report as a page, in a real browser: whole without a network, readable on a phone and in the dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from opsctl.cli import main

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    views = {"bill": (), "sweep": ("--sweep", "queries_per_month=1e3..1e7"), "guide": ("--guide",)}
    asked = ("cost-report", "-s", "prod", "--region", "us-east-1", "--format", "html")
    for name, words in views.items():
        assert main([*asked, *words, "--out", str(folder / f"{name}.html")]) == 0
    return {name: folder / f"{name}.html" for name in views}


def opened(browser: Browser, page: Path, **options: object) -> tuple[Page, list[str]]:
    shown = browser.new_page(**options)  # type: ignore[arg-type]
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(page.as_uri())
    return shown, asked


@pytest.mark.parametrize("name", ["bill", "sweep", "guide"])
def test_a_page_asks_for_nothing_but_itself_and_fits_a_phone(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    page, asked = opened(browser, pages[name], viewport=PHONE)
    assert asked == [pages[name].as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not page.locator("td.detail").first.is_visible() if page.locator("td.detail").count() else True
    page.close()


def test_the_bill_shows_its_total_and_a_bar_for_each_part(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["bill"])
    total = page.locator("tfoot tr:has(td:first-child:text-is('total')) td:nth-child(4)").inner_text()
    cells = page.locator("tbody tr td:nth-child(4)").all_inner_texts()
    assert abs(sum(float(cell.replace(",", "")) for cell in cells) - float(total.replace(",", ""))) < 0.005 * len(cells)
    widths = [float(each) for each in page.locator(".bar").evaluate_all("bars => bars.map(b => b.offsetWidth)")]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 10 * widths[-1]
    page.close()


def test_the_sweep_draws_its_curve(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["sweep"])
    box = page.locator("polyline").bounding_box()
    assert box is not None
    assert box["width"] > 300
    page.close()


def test_a_dark_page_is_dark_and_legible(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["bill"], color_scheme="dark")
    paper, ink = (page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
    assert (paper, ink) == ("rgb(13, 17, 23)", "rgb(230, 237, 243)")
    page.close()
