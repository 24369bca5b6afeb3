"""Closed-loop load for costs per request: a job as JSON on stdin, its result on stdout. opsctl.load is open-model."""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import cycle, islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator


async def drive(job: dict[str, Any]) -> dict[str, object]:
    waiting = islice(cycle([json.dumps(body).encode() for body in job["bodies"]]), job["requests"])
    latencies: list[float] = []
    connector = aiohttp.TCPConnector(limit=job["clients"])
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:
        started = perf_counter()
        async with asyncio.timeout(job["limitS"]), asyncio.TaskGroup() as clients:
            for _ in range(job["clients"]):
                clients.create_task(client(session, job, waiting, latencies))
        return {"wallS": perf_counter() - started, "latenciesS": latencies}


async def client(
    session: aiohttp.ClientSession, job: dict[str, Any], waiting: Iterator[bytes], latencies: list[float]
) -> None:
    for body in waiting:
        started = perf_counter()
        async with session.post(job["url"], data=body) as response:
            content = await response.read()
        if response.status not in job["accepted"]:
            raise RuntimeError(f"{response.status}: {content[:500]!r}")
        latencies.append(perf_counter() - started)


if __name__ == "__main__":
    json.dump(asyncio.run(drive(json.load(sys.stdin))), sys.stdout)
