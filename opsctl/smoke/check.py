"""What a check of a smoke test is: it asks the service one thing and returns evidence, or raises CheckFailed."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import shorten
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from opsctl.endpoint.trial import Trial
    from opsctl.smoke.client import Reply, ServiceClient
    from opsctl.smoke.golden import Golden

SHOWN_CHARS = 200


class NotApplicable(Exception):
    """What the check is about isn't there: no TLS on loopback, no keys on an edge. Says why; fails nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a check saw: one line for a reader, facts for a program."""

    summary: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a check needs: the service, the questions, and the time that one request may take.

    Without `golden` the questions are made from documents that the service itself holds.

    Attributes:
        release: the one that has to answer; None where any will do.
        collections: that a search must reach; empty where nobody says which there are.
        slo_s: seconds within which 95 of 100 answers must come; None where nobody promised.
        model: asks the model endpoint directly; None where the stack has none.
    """

    service: ServiceClient
    golden: tuple[Golden, ...]
    limit_s: float
    release: str | None = None
    collections: tuple[str, ...] = ()
    slo_s: float | None = None
    model: Callable[[], Trial] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the service.

    Attributes:
        limit_s: seconds that one request may take; --timeout may lower it.
        needs: the check without which this one would only wait for the same failure again.
    """

    name: str
    run: Callable[[Asking], Awaitable[Evidence]]
    limit_s: float
    needs: str | None = None


def expect(reply: Reply, status: int) -> Reply:
    """Give back a reply that has `status`.

    Raises:
        CheckFailed: it has another one.
    """
    if reply.status == status:
        return reply
    next_step = {
        401: "put the service's key into RAG_API_KEY",
        403: "put a key that may ask into RAG_API_KEY",
        429: "wait, then run it again",
        503: "wait until it is ready, or read its log",
    }.get(reply.status, "read the service's log")
    shown = shorten(reply.text, SHOWN_CHARS, placeholder=" ...")
    raise CheckFailed(f"{reply.path} answered {reply.status}, not {status}: {shown}", next_step=next_step)
