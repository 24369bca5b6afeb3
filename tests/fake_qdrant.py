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
    indexed: list[tuple[str, str, str]] = field(default_factory=list)
    store: AsyncQdrantClient = field(default_factory=lambda: AsyncQdrantClient(":memory:"))

    def app(self) -> Starlette:
        calls: list[tuple[str, str, Callable[[str, Any], Awaitable[Any]]]] = [
            ("GET", "/collections/{name}", self._info),
            ("PUT", "/collections/{name}", self._create),
            ("DELETE", "/collections/{name}", self._drop),
            ("PATCH", "/collections/{name}", self._update),
            ("PUT", "/collections/{name}/points", self._upsert),
            ("POST", "/collections/{name}/points/query/batch", self._query),
            ("PUT", "/collections/{name}/index", self._index),
            ("POST", "/collections/{name}/points", self._retrieve),
            ("POST", "/collections/{name}/points/scroll", self._scroll),
            ("POST", "/collections/{name}/points/count", self._count),
            ("POST", "/collections/{name}/points/delete", self._delete),
        ]
        exists = Route("/collections/{name}/exists", self._exists)
        return Starlette(routes=[exists, *self._routes(calls)])

    def _routes(self, calls: list[tuple[str, str, Callable[[str, Any], Awaitable[Any]]]]) -> list[Route]:
        return [Route(path, self._route(call), methods=[method]) for method, path, call in calls]

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
        if "batch" in body:
            points: Any = models.Batch.model_construct(**body["batch"])
        else:
            points = models.PointsList.model_validate(body).points
        return (await self.store.upsert(name, points)).model_dump(mode="json")

    async def _query(self, name: str, body: Any) -> Any:
        await asyncio.sleep(self.delays_s.get(name, 0))
        searches = models.QueryRequestBatch.model_validate(body).searches
        return [answer.model_dump(mode="json") for answer in await self.store.query_batch_points(name, searches)]

    async def _exists(self, request: Request) -> Response:
        if self.failure is not None:
            return self.failure
        exists = await self.store.collection_exists(request.path_params["name"])
        return JSONResponse({"result": {"exists": exists}, "status": "ok", "time": 0.0})

    async def _drop(self, name: str, _: Any) -> Any:
        return await self.store.delete_collection(name)

    async def _index(self, name: str, body: Any) -> Any:
        self.indexed.append((name, body["field_name"], body["field_schema"]))
        return {"operation_id": 1, "status": "completed"}

    async def _retrieve(self, name: str, body: Any) -> Any:
        found = await self.store.retrieve(name, body["ids"], body.get("with_payload"), body.get("with_vector"))
        return [record.model_dump(mode="json") for record in found]

    async def _scroll(self, name: str, body: Any) -> Any:
        page, following = await self.store.scroll(
            name,
            limit=body["limit"],
            offset=body.get("offset"),
            with_payload=body.get("with_payload"),
            with_vectors=body.get("with_vector"),
        )
        return {"points": [record.model_dump(mode="json") for record in page], "next_page_offset": following}

    async def _count(self, name: str, _: Any) -> Any:
        return (await self.store.count(name)).model_dump(mode="json")

    async def _delete(self, name: str, body: Any) -> Any:
        return (await self.store.delete(name, models.PointIdsList(points=body["points"]))).model_dump(mode="json")
