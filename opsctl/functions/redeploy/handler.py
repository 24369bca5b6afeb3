"""The Lambda function that restarts a failed model endpoint; an alarm or an EventBridge rule calls it.

Its archive holds the modules that it imports, below their own names, and `requirements.txt`; boto3 is Lambda's. A test
holds it to that.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opsctl.aws.documents import BucketDocument
from opsctl.aws.endpoint import SageMakerCloud
from opsctl.aws.pages import publish
from opsctl.endpoint import journal as journals
from opsctl.endpoint.journal import Holder, now
from opsctl.endpoint.lock import Lock
from opsctl.endpoint.names import ENDPOINT_TAG, STACK_TAG, Names
from opsctl.endpoint.run import EndpointRun, Options
from opsctl.functions.redeploy.restart import Restart
from opsctl.functions.redeploy.settings import load

if TYPE_CHECKING:
    from opsctl.endpoint.ports import Document
    from opsctl.functions.redeploy.settings import Settings

LAST_S = 30.0  # kept for the journal and the page
log = logging.getLogger(__name__)


class Lines:
    """A watch whose lines are the function's log."""

    def step(self, number: int, total: int, what: str) -> None:
        """A step begins."""
        log.warning("[%d/%d] %s", number, total, what)

    def waiting(self, what: str, elapsed_s: float) -> None:
        """A slow step goes on."""
        log.info("%s, after %d s", what, elapsed_s)

    def note(self, text: str) -> None:
        """Something worth a line."""
        log.warning("%s", text)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ANN401 - Lambda's own class
    """Restart the endpoint, or call a person; gives what was done."""
    settings = load()
    left_s = context.get_remaining_time_in_millis() / 1000 - LAST_S
    outcome = _restart(settings, context.aws_request_id, left_s)(reason(event))
    log.warning("endpoint %s: %s", settings.endpoint, outcome)
    return {"endpoint": settings.endpoint, "outcome": outcome}


def reason(event: dict[str, Any]) -> str:
    """What an alarm's or a rule's event says, in a line."""
    detail = event.get("detail") or event.get("alarmData") or {}
    state = detail.get("state") or {}
    said = state.get("reason") or detail.get("FailureReason") or detail.get("EndpointStatus")
    what = detail.get("alarmName") or event.get("detail-type") or "somebody called the function"
    return f"{what}: {said}" if said else str(what)


def tags_of(settings: Settings, journal: Document, where: str) -> dict[str, str]:
    """The tags of what is made anew: those of the last release, or the bill and the budget would lose sight of it."""
    found = journal.read()
    released = journals.read(found.text, where).last_good if found else None
    return {**(released.tags if released else {}), STACK_TAG: settings.stack, ENDPOINT_TAG: settings.endpoint}


def _restart(settings: Settings, request: str, left_s: float) -> Restart:
    names = Names(settings.endpoint)
    journal = BucketDocument.open(settings.region, settings.bucket, names.journal_key)
    marker = BucketDocument.open(settings.region, settings.bucket, names.journal_key.replace("journal", "restart"))
    me = Holder(request, "the redeploy function", "lambda", 0, 0.0, now())
    tags = tags_of(settings, journal, journal.where)
    run = EndpointRun(
        stack=settings.stack,
        names=names,
        cloud=SageMakerCloud.open(settings.region, settings.stack, tags),
        lock=Lock(journal, journal.where, me, lambda _: False),
        watch=Lines(),
        consent=lambda _: None,
        options=Options(limit_s=left_s),
    )
    return Restart(run, marker, lambda subject, text: publish(settings.region, settings.topic, subject, text))
