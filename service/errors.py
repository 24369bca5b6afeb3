"""The service's one family of errors; adapters translate SDK errors into it, the API translates it into problem+json.

RagError
|- BadRequest             422  the caller can fix it
|- Unauthenticated        401  who calls is not known
|- LimitExceeded          429  the caller used up what it may; names the limit
|- StageUnavailable       503  a stage that the answer needs is down; names the stage
|  |- StageTimeout        503  its share of the request's time ran out
|  |- EndpointAsleep      503  a scale-to-zero endpoint is waking up
|  |- UpstreamThrottled   503  the vendor asked to slow down
|  |- UpstreamExhausted   503  the vendor's balance or quota is used up; not retriable
|  |- Unreachable         503  no connection could be made: nothing was done, so a second try is harmless
|  |- CircuitOpen         503  it failed so often that it is left alone for now
|- DeadlineExceeded       503  the request's time is used up
|- Overloaded             503  as many requests are in flight as the process takes, or it has no descriptor left
|- NotReady               503  starting or draining
|- ClientGone             499  nobody reads the answer; never sent, only counted
|- StartupError           exit code, before the first request: a wrong setting or a broken artefact
"""

from __future__ import annotations


class RagError(Exception):
    """Anything that the service reports to its caller in one line.

    Attributes:
        status: HTTP status.
        title: short and stable, the same for every occurrence.
        retry_after_s: seconds that the caller should wait, where waiting helps.
    """

    status = 500
    title = "Internal error"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class BadRequest(RagError):
    """The request is understood and wrong; `detail` names the field and what is legal."""

    status = 422
    title = "Invalid request"


class Unauthenticated(RagError):
    """The request proves nobody's identity.

    Attributes:
        presented: a credential came with it, and was refused.
    """

    status = 401
    title = "Not authenticated"

    def __init__(self, detail: str, *, presented: bool = True) -> None:
        super().__init__(detail)
        self.presented = presented


class LimitExceeded(RagError):
    """The caller used up what its key may use; `detail` names the limit."""

    status = 429
    title = "Limit exceeded"


class NotReady(RagError):
    """The process is warming up or draining."""

    status = 503
    title = "Not ready"


class Overloaded(RagError):
    """One request more than the process carries: refused before anything is read or paid, or out of descriptors."""

    status = 503
    title = "Too many requests in flight"


class ClientGone(RagError):
    """The client closed the connection before the answer was there."""

    status = 499
    title = "Client closed the connection"


class DeadlineExceeded(RagError):
    """The request's own time budget is used up."""

    status = 503
    title = "Deadline exceeded"


class StageUnavailable(RagError):
    """A stage that the answer can't do without failed.

    Attributes:
        stage: the pipeline stage, as named in `timings`.
    """

    status = 503
    title = "Stage unavailable"

    def __init__(self, stage: str, detail: str, *, retry_after_s: float | None = 5) -> None:
        super().__init__(f"{stage}: {detail}", retry_after_s=retry_after_s)
        self.stage = stage


class StageTimeout(StageUnavailable):
    """A stage gave no answer within its limit."""


class EndpointAsleep(StageUnavailable):
    """A scale-to-zero endpoint has no copy running; the request itself triggers the wake-up, which takes minutes."""

    title = "Model endpoint is waking up"


class UpstreamThrottled(StageUnavailable):
    """The vendor answered 429; `retry_after_s` is what it asked for, where it said so."""

    title = "Upstream rate limit"


class UpstreamExhausted(StageUnavailable):
    """The vendor account's balance or quota is used up: a person has to act, a retry can't help."""

    title = "Upstream quota exhausted"


class Unreachable(StageUnavailable):
    """No connection to the backend could be made: the call did nothing."""


class CircuitOpen(StageUnavailable):
    """The backend failed several times in a row and is left alone; `retry_after_s` is when it is asked again."""

    title = "Stage left alone after failures"


class StartupError(RagError):
    """A setting or an artefact is unusable; the process says so in one line and ends with code 78 (EX_CONFIG)."""

    title = "Cannot start"
