"""A failed HTTP call in the service's own errors: a second try is harmless where the backend was not reached."""

from __future__ import annotations

import httpx

from service.errors import StageUnavailable, Unreachable

# The request was not sent; httpx raises PoolTimeout where every connection of the pool is in use.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def failure(stage: str, detail: str, cause: BaseException | None) -> StageUnavailable:
    """The error to raise for `cause`."""
    return (Unreachable if isinstance(cause, NOT_SENT) else StageUnavailable)(stage, detail)
