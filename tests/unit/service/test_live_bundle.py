"""Another bundle takes over without a failed search, and a bad one never does."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

from service import bundle
from service.adapters.live_bundle import LiveBundle
from tests.fakes import FakeEmbedder
from tests.unit.service.test_bundle import SHA, vectors, write

if TYPE_CHECKING:
    from pathlib import Path

    from service.bundle import Manifest

ALL = ("posts", "articles", "repos")


def live(home: Path, told: list[tuple[str, Manifest]] | None = None) -> AbstractAsyncContextManager[LiveBundle]:
    heard = told if told is not None else []
    return LiveBundle.open(
        home,
        FakeEmbedder(dimension=8),
        embedder_sha256=SHA,
        every_s=3600,
        told=lambda name, manifest: heard.append((name, manifest)),
    )


async def test_no_search_fails_while_bundles_replace_each_other(tmp_path: Path) -> None:
    """Searches overlap every moment of ten takeovers; each finds what both bundles hold."""
    write(tmp_path, count=300)
    found: list[str] = []
    over = asyncio.Event()

    async def ask(store: LiveBundle) -> None:
        while not over.is_set():
            (ranking,) = await store.search(vectors(300)[[7]], collections=ALL, limit=1)
            found.append(ranking[0].id)

    async with live(tmp_path) as store:
        askers = [asyncio.create_task(ask(store)) for _ in range(8)]
        versions = {await store.version()}
        for count in range(301, 311):
            await asyncio.to_thread(write, tmp_path, count, kind="flat" if count % 2 else "sq8")
            await store.look()
            versions.add(await store.version())
        over.set()
        await asyncio.gather(*askers)
    assert set(found) == {"id7"}
    assert len(versions) == 11


async def test_a_replaced_bundle_is_closed_after_its_last_search(tmp_path: Path) -> None:
    write(tmp_path)
    async with live(tmp_path) as store:
        old = store._lease
        assert old.enter()
        write(tmp_path, count=301)
        await store.look()
        assert old.store.search_now(vectors(300)[[7]], ALL, 1)[0][0].id == "id7"
        old.leave()
        with pytest.raises(sqlite3.ProgrammingError):
            old.store.search_now(vectors(300)[[7]], ALL, 1)
        assert not old.enter()


async def test_a_corrupt_bundle_is_refused_once_and_the_old_one_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)
    told: list[tuple[str, Manifest]] = []
    async with live(tmp_path, told) as store:
        before = await store.version()
        write(tmp_path, count=301)
        with (bundle.resolve(tmp_path) / bundle.INDEX).open("r+b") as file:
            file.write(b"x")
        await store.look()
        await store.look()
        assert await store.version() == before
        (ranking,) = await store.search(vectors(300)[[7]], collections=ALL, limit=1)
    assert ranking[0].id == "id7"
    assert caplog.text.count("is refused, the old one serves") == 1
    assert len(told) == 1


async def test_a_bundle_of_another_model_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path)
    async with live(tmp_path) as store:
        before = await store.version()
        write(tmp_path, count=301, claims={"embedding_sha256": "0" * 64})
        await store.look()
        assert await store.version() == before
    assert "embedding model sha256" in caplog.text


async def test_going_back_is_a_takeover_like_any_other(tmp_path: Path) -> None:
    write(tmp_path)
    first = bundle.resolve(tmp_path)
    write(tmp_path, count=301)
    told: list[tuple[str, Manifest]] = []
    async with live(tmp_path, told) as store:
        link = tmp_path / ".back"
        link.symlink_to(first.name)
        link.replace(tmp_path / bundle.CURRENT)
        await store.look()
    assert [name for name, _ in told][-1] == first.name
    assert told[-1][1].count == 300


async def test_a_home_that_is_gone_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write(home)
    async with live(home) as store:
        aside = home.rename(tmp_path / "aside")
        await store.look()
        aside.rename(home)
        await store.look()
        (ranking,) = await store.search(vectors(300)[[7]], collections=ALL, limit=1)
    assert ranking[0].id == "id7"
    shutil.rmtree(home)
