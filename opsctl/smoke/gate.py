"""The gate: without a key, with a wrong one, and one time too often."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed
from opsctl.smoke.check import Check, Evidence, NotApplicable, expect
from opsctl.smoke.contract import Problem, parse

if TYPE_CHECKING:
    from opsctl.smoke.check import Asking
    from opsctl.smoke.client import Reply

QUESTION = {"query": "May I?"}
NONSENSE: dict[str, object] = {}  # is counted like any request, and refused before any work
AT_ONCE = 20
MOST_REQUESTS = 1200


async def no_key(asking: Asking) -> Evidence:
    """Hold that a caller without a key is refused."""
    _guarded(asking)
    reply = await asking.service.calling_as(None).post("/search", QUESTION, limit_s=asking.limit_s)
    return _challenged(reply)


async def bad_key(asking: Asking) -> Evidence:
    """Hold that a caller with a made-up key is refused."""
    _guarded(asking)
    reply = await asking.service.calling_as(f"made-up-{token_hex(8)}").post("/search", QUESTION, limit_s=asking.limit_s)
    return _challenged(reply)


async def rate_limit(asking: Asking) -> Evidence:
    """Hold that a key that is used too often is refused with 429 and told when to come back.

    Uses the key up for a minute, so it comes last; never sends more than MOST_REQUESTS.
    """
    _guarded(asking)
    impatient, sent = asking.service.calling_as(asking.service.api_key), 0
    while sent < MOST_REQUESTS:
        asks = (impatient.post("/search", NONSENSE, limit_s=asking.limit_s) for _ in range(AT_ONCE))
        replies = await asyncio.gather(*asks)
        refused = [reply for reply in replies if reply.status == 429]  # noqa: PLR2004 - Too Many Requests
        if refused:
            return _told_when(refused[0], sent + AT_ONCE - len(refused))
        sent += AT_ONCE
    raise CheckFailed(f"{sent} requests in a row were not limited", next_step="set access.requestsPerMinute")


def _guarded(asking: Asking) -> None:
    if asking.service.api_key is None:
        raise NotApplicable("this service asks for no key")


def _challenged(reply: Reply) -> Evidence:
    problem = parse(Problem, expect(reply, 401))
    if "www-authenticate" not in reply.headers:
        raise CheckFailed(
            "401 comes without WWW-Authenticate", next_step="check what stands between opsctl and the service"
        )
    return Evidence(f"401: {problem.detail}", {"problem": problem.model_dump(by_alias=True)})


def _told_when(reply: Reply, accepted: int) -> Evidence:
    problem, wait_s = parse(Problem, reply), reply.retry_after_s
    if wait_s is None:
        raise CheckFailed("429 comes without Retry-After", next_step="check what stands between opsctl and the service")
    facts = {"accepted": accepted, "retryAfterSeconds": wait_s, "problem": problem.model_dump(by_alias=True)}
    return Evidence(f"429 after {accepted} more requests; may come back in {wait_s:g} s", facts)


GATE = (
    Check("no key", no_key, limit_s=10, needs="livez"),
    Check("bad key", bad_key, limit_s=10, needs="livez"),
)
LIMIT = (Check("rate limit", rate_limit, limit_s=30, needs="bad key"),)
