"""Snapshots of Qdrant's collections: made, fetched and removed, and put back, one node at a time.

A snapshot holds the shards of the node that makes it, so a cluster is asked node by node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    from pydantic import SecretStr

STAGE = "retrieval"
BLOCK_BYTES = 1024 * 1024
# Making a snapshot and taking one in are as long as the data is large.
TIMEOUT = httpx.Timeout(30, read=900, write=900)


class QdrantSnapshots:
    """One node."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    def open(cls, url: str, api_key: SecretStr | None, *, timeout: httpx.Timeout = TIMEOUT) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: not a URL.
        """
        headers = {"api-key": api_key.get_secret_value()} if api_key else {}
        if not url.startswith(("http://", "https://")):
            raise StartupError(f"{url} is no URL of a Qdrant; give http://<host>:6333")
        return cls(httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def collections(self) -> list[str]:
        """Names of all of them.

        Raises:
            StageUnavailable: it can't be asked.
        """
        return sorted(each["name"] for each in self._result("GET", "/collections")["collections"])

    @contextmanager
    def snapshot(self, collection: str) -> Iterator[Iterator[bytes]]:
        """A new snapshot's bytes; it is removed from the node afterwards, where it would fill the disk.

        Raises:
            StageUnavailable: it can't be made or read.
        """
        place = f"/collections/{collection}/snapshots"
        name = self._result("POST", place, params={"wait": "true"})["name"]
        try:
            with self._translated(), self._client.stream("GET", f"{place}/{name}") as answer:
                self._judge(answer)
                yield answer.iter_bytes(BLOCK_BYTES)
        finally:
            self._result("DELETE", f"{place}/{name}")

    def recover(self, collection: str, blocks: Iterable[bytes]) -> None:
        """Put a snapshot in the place of what the node has of the collection.

        Raises:
            StageUnavailable: the node does not take it.
        """
        form = {"snapshot": ("snapshot", _File(blocks), "application/octet-stream")}
        where = f"/collections/{collection}/snapshots/upload"
        self._result("POST", where, params={"priority": "snapshot", "wait": "true"}, files=form)

    def _result(self, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - JSON, and httpx's own arguments
        with self._translated():
            answer = self._client.request(method, path, **more)
            self._judge(answer)
            return answer.json()["result"]

    def _judge(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise StageUnavailable(STAGE, f"Qdrant answered {answer.status_code} to {asked}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as exc:
            raise StageUnavailable(STAGE, f"no answer from Qdrant ({type(exc).__name__})") from exc


class _File:
    """Blocks as a file that httpx reads once, without its size."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._held) < size:
            block = next(self._blocks, None)
            if block is None:
                break
            self._held += block
        found, self._held = (self._held, b"") if size < 0 else (self._held[:size], self._held[size:])
        return found
