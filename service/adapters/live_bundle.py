"""The bundle that a home's `current` names, whichever that is: another one takes over between two searches."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from service import bundle
from service.adapters.faiss_index import FaissStore
from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    from pathlib import Path

    from service.bundle import Manifest
    from service.ports import Embedder, Hit, Vectors

log = logging.getLogger(__name__)

Told = Callable[[str, "Manifest"], None]


class _Lease:
    """An open store that is closed once it is replaced and its last search is over, in whichever thread that is."""

    def __init__(self, folder: Path, store: FaissStore) -> None:
        self.folder = folder
        self.store = store
        self._lock = threading.Lock()
        self._searches = 0
        self._retired = False

    def enter(self) -> bool:
        """Whether it may be searched; False once it is replaced."""
        with self._lock:
            if self._retired:
                return False
            self._searches += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._searches -= 1
            if self._retired and not self._searches:
                self.store.close()

    def retire(self) -> None:
        with self._lock:
            self._retired = True
            if not self._searches:
                self.store.close()


class LiveBundle:
    """VectorStore port over whatever bundle is current.

    A search runs on one bundle from its begin to its end. A new bundle is checked and opened beside the old one, which
    stays where the new one is refused; for that moment both are in memory.
    """

    def __init__(self, home: Path, reopen: Callable[[Path], FaissStore], first: _Lease, told: Told) -> None:
        self._home = home
        self._reopen = reopen
        self._lease = first
        self._seen = first.folder
        self._told = told
        told(first.folder.name, first.store.manifest)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, home: Path, embedder: Embedder, *, embedder_sha256: str, every_s: float, told: Told
    ) -> AsyncIterator[LiveBundle]:
        """Open the current bundle and look every `every_s` seconds whether there is another.

        Raises:
            StartupError: as FaissStore.open.
        """

        def reopen(folder: Path) -> FaissStore:
            return FaissStore.open(folder, embedder, embedder_sha256=embedder_sha256)

        folder = bundle.resolve(home)
        live = cls(home, reopen, _Lease(folder, await asyncio.to_thread(reopen, folder)), told)
        watching = asyncio.create_task(live._watch(every_s))
        try:
            yield live
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            live._lease.retire()

    async def search(
        self, vectors: Vectors, *, collections: Sequence[str], limit: int, authors: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        """As FaissStore.search, on the bundle that is current when it begins."""
        try:
            return await asyncio.to_thread(self._search, vectors, collections, limit, authors)
        except sqlite3.Error as exc:
            raise StageUnavailable("retrieval", f"the bundle's texts can't be read ({exc})") from exc

    async def version(self) -> str:
        return await self._lease.store.version()

    async def ping(self) -> None:
        await self._lease.store.ping()

    async def look(self) -> None:
        """Take over the current bundle if it is another; one that is refused is tried once."""
        try:
            folder = await asyncio.to_thread(bundle.resolve, self._home)
            if folder == self._seen:
                return
            self._seen = folder
            store = await asyncio.to_thread(self._reopen, folder)
        except (StartupError, OSError) as exc:
            log.warning("the new bundle is refused, the old one serves: %s", exc)
            return
        old, self._lease = self._lease, _Lease(folder, store)
        old.retire()
        log.info("bundle %s serves: %d chunks, %s", folder.name, store.manifest.count, store.manifest.index_type)
        self._told(folder.name, store.manifest)

    async def _watch(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self.look()

    def _search(
        self, vectors: Vectors, collections: Sequence[str], limit: int, authors: Sequence[str] | None
    ) -> list[list[Hit]]:
        lease = self._lease
        while not lease.enter():  # replaced since the last line
            lease = self._lease
        try:
            return lease.store.search_now(vectors, collections, limit, authors)
        finally:
            lease.leave()
