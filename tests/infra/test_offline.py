"""The program run in process: also after somebody else's event loop has come and gone."""

from __future__ import annotations

import asyncio
import pickle

from infra import offline
from tests.infra.cloud_cases import config, program


async def _nothing() -> None:
    """What leaves a thread without a current event loop is that one was run."""


def test_a_program_is_declared_in_a_thread_whose_loop_was_closed() -> None:
    asyncio.run(_nothing())
    assert program("dev").one("ecs/service:Service")


def test_programs_declared_one_after_another_leave_the_pickler_as_it_was() -> None:
    before = dict(vars(pickle._Pickler))
    assert offline.declare(config("local")).of("edge:EdgeBundle")
    assert dict(vars(pickle._Pickler)) == before
