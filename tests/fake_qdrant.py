"""A fake of Qdrant's server: the REST calls that its client makes, answered by the client's own local mode.

It is no Qdrant: no index, no optimizer, no snapshots. It proves what the adapter sends, and how it reads answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from qdrant_client import AsyncQdrantClient, models
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class FakeQdrant:
    """`failure` is what every call is answered with while it is set; `delays_s` holds back a collection's searches."""

    api_key: str | None = None
    failure: Response | None = None
    delays_s: dict[str, float] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    store: AsyncQdrantClient = field(default_factory=lambda: AsyncQdrantClient(":memory:"))

    def app(self) -> Starlette:
        calls: list[tuple[str, str, Callable[[str, Any], Awaitable[Any]]]] = [
            ("GET", "/collections/{name}", self._info),
            ("PUT", "/collections/{name}", self._create),
            ("PATCH", "/collections/{name}", self._update),
            ("PUT", "/collections/{name}/points", self._upsert),
            ("POST", "/collections/{name}/points/query/batch", self._query),
        ]
        return Starlette(routes=[Route(path, self._route(call), methods=[method]) for method, path, call in calls])

    def sent_to(self, path: str) -> list[Any]:
        return [body for _, sent, body in self.requests if sent == path]

    def _route(self, call: Callable[[str, Any], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            body = await request.json() if await request.body() else None
            self.requests.append((request.method, request.url.path, body))
            if self.failure is not None:
                return self.failure
            if self.api_key and request.headers.get("api-key") != self.api_key:
                return JSONResponse({"status": {"error": "Must provide an API key"}, "time": 0.0}, 401)
            name = request.path_params["name"]
            if request.method != "PUT" and not await self.store.collection_exists(name):
                missing = f"Not found: Collection `{name}` doesn't exist!"
                return JSONResponse({"status": {"error": missing}, "time": 0.0}, 404)
            return JSONResponse({"result": await call(name, body), "status": "ok", "time": 0.0})

        return answer

    async def _info(self, name: str, _: Any) -> Any:
        return (await self.store.get_collection(name)).model_dump(mode="json")

    async def _create(self, name: str, body: Any) -> Any:
        wanted = models.CreateCollection.model_validate(body)
        return await self.store.create_collection(name, vectors_config=wanted.vectors, metadata=wanted.metadata)

    async def _update(self, name: str, body: Any) -> Any:
        return await self.store.update_collection(name, metadata=body["metadata"])

    async def _upsert(self, name: str, body: Any) -> Any:
        points = models.PointsList.model_validate(body).points
        return (await self.store.upsert(name, points)).model_dump(mode="json")

    async def _query(self, name: str, body: Any) -> Any:
        await asyncio.sleep(self.delays_s.get(name, 0))
        searches = models.QueryRequestBatch.model_validate(body).searches
        return [answer.model_dump(mode="json") for answer in await self.store.query_batch_points(name, searches)]
