"""The program run in process: also after somebody else's event loop has come and gone."""

from __future__ import annotations

import asyncio

from tests.infra.cloud_cases import program


async def _nothing() -> None:
    """What leaves a thread without a current event loop is that one was run."""


def test_a_program_is_declared_in_a_thread_whose_loop_was_closed() -> None:
    asyncio.run(_nothing())
    assert program("dev").one("ecs/service:Service")
