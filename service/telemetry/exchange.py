"""One request and what became of it: the only thing that metrics, logs and traces are made from."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from service.errors import ClientGone, DeadlineExceeded, RagError, StageTimeout
from service.rag.trace import Trace

if TYPE_CHECKING:
    from opentelemetry.trace import Span

UNMATCHED = "unmatched"
PROBES = frozenset({"/livez", "/readyz", "/health"})
FIRST_ERROR = 400
FIRST_SERVER_ERROR = 500

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(slots=True, eq=False)
class Exchange:
    """Filled while the request runs.

    Attributes:
        started: on the clock of `time.perf_counter`.
        route: template of the route, never the raw path: labels must stay few.
        status: 0 until the response starts.
        key: name of the caller's key.
        trace: of the pipeline; it stays empty where the request runs none.
        error: what ended the request, also where its status had been sent before.
        span: of a request that is traced.
    """

    request_id: str
    method: str
    route: str = UNMATCHED
    status: int = 0
    key: str = ""
    error: BaseException | None = None
    span: Span | None = None
    trace: Trace = field(default_factory=Trace)
    started: float = field(default_factory=time.perf_counter)
    ended: float = 0.0

    def end(self) -> None:
        """The last byte is sent, or nobody is there to send it to."""
        self.ended = time.perf_counter()
        if self.status == 0:
            self.status = ClientGone.status if self.error is None else FIRST_SERVER_ERROR

    @property
    def duration_ms(self) -> float:
        """From the first byte of the request's head to the last of the response."""
        return (self.ended - self.started) * 1000

    @property
    def cause(self) -> str | None:
        """Why the request failed, in one word of a short list; None where it did not."""
        if self.error is not None:
            return cause(self.error)
        return f"http_{self.status}" if self.status >= FIRST_ERROR else None


def cause(error: BaseException) -> str:
    """The error's class as a label, `timeout` for all that ran out of time, `internal` for what nobody foresaw."""
    if isinstance(error, DeadlineExceeded | StageTimeout):
        return "timeout"
    return _WORD.sub("_", type(error).__name__).lower() if isinstance(error, RagError) else "internal"


def outcome(error: BaseException | None) -> str:
    """How a call to a dependency ended; `cut_off` where its caller left it, for want of time or of a reader."""
    if error is None:
        return "ok"
    return cause(error) if isinstance(error, Exception) else "cut_off"


class Sink(Protocol):
    """Where finished exchanges go."""

    def ended(self, exchange: Exchange) -> None:
        """Take note of it, at once and without waiting."""
        ...
