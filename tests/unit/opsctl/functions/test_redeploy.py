from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsctl.endpoint import journal as journals
from opsctl.endpoint.journal import Attempt, Holder, Journal, Release, now
from opsctl.endpoint.lock import Held
from opsctl.endpoint.names import ENDPOINT_TAG, STACK_TAG, Names
from opsctl.endpoint.ports import Conflict, Stored
from opsctl.endpoint.resources import config_name
from opsctl.endpoint.run import Report
from opsctl.errors import CloudRefused, RolledBack, TimedOut
from opsctl.functions.redeploy.handler import reason, tags_of
from opsctl.functions.redeploy.restart import Restart
from opsctl.functions.redeploy.settings import Settings
from tests.unit.opsctl.endpoint.specs import CLASSIC

GOOD = Journal(releases=(Release(CLASSIC, now(), "ada@host"),))
HOLDER = Holder("t", "ada@host", "host", 7, 0.0, now())


@dataclass
class Marker:
    """The document that remembers the last restart."""

    text: str | None = None
    taken: bool = False

    def read(self) -> Stored | None:
        return None if self.text is None else Stored(self.text, "1", 0.0)

    def write(self, text: str, on: str | None) -> str:
        if self.taken:
            raise Conflict("written by somebody else", next_step="read it again")
        assert on == (None if self.text is None else "1")
        self.text = text
        return "2"


@dataclass
class Run:
    """A run that ends as it is told; what it was asked to reach is in `deployed`."""

    journal: Journal = GOOD
    held: bool = False
    changed: bool = True
    error: Any = None
    names: Names = field(default_factory=lambda: Names("twin"))
    deployed: list[Any] = field(default_factory=list)

    @property
    def lock(self) -> Run:
        return self

    def read(self) -> Journal:
        if self.held:
            raise Held("ada works on it", next_step="wait")
        return self.journal

    def deploy(self, spec: Any) -> Report:
        self.deployed.append(spec)
        return Report("dev", "twin", changed=self.changed, error=self.error)


def restarted(run: Run, marker: Marker | None = None) -> tuple[str, list[tuple[str, str]]]:
    pages: list[tuple[str, str]] = []
    restart = Restart(run, marker or Marker(), lambda *page: pages.append(page))  # type: ignore[arg-type]
    return restart("alarm: 5xx"), pages


def marked(hours_ago: float, config: str = config_name(CLASSIC)) -> Marker:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    return Marker(json.dumps({"at": at.isoformat(), "config": config}))


def test_the_last_good_release_is_deployed_once_then_a_person_is_called() -> None:
    run, marker = Run(), Marker()
    outcome, pages = restarted(run, marker)
    assert (outcome, run.deployed) == ("restarted", [CLASSIC])
    assert pages == [("twin: restarted", "alarm: 5xx\nEndpoint 'twin' runs its last good release again.")]
    outcome, pages = restarted(run, marker)
    assert (outcome, run.deployed) == ("paged", [CLASSIC])
    ((subject, text),) = pages
    assert subject == "twin: fails again"
    assert "alarm: 5xx" in text
    assert "`opsctl endpoint logs`" in text


@pytest.mark.parametrize("marker", [marked(25), marked(1, "twin-other")])
def test_a_day_later_and_for_another_release_it_may_restart_again(marker: Marker) -> None:
    assert restarted(Run(), marker)[0] == "restarted"


@pytest.mark.parametrize(
    ("run", "marker"),
    [(Run(held=True), Marker()), (Run(journal=Journal()), Marker()), (Run(), Marker(taken=True))],
    ids=["somebody works on it", "nothing was released", "another call was faster"],
)
def test_what_is_not_its_business_is_left_alone(run: Run, marker: Marker) -> None:
    assert restarted(run, marker) == ("left alone", [])
    assert run.deployed == []


def test_an_unfinished_change_is_a_persons_decision() -> None:
    attempt = Attempt("deploy", CLASSIC, now(), "ada@host", ())
    run = Run(journal=Journal(releases=GOOD.releases, attempt=attempt))
    outcome, ((_, text),) = restarted(run)
    assert (outcome, run.deployed) == ("paged", [])
    assert "left unfinished" in text


@pytest.mark.parametrize(
    ("run", "subject", "said"),
    [
        (Run(error=RolledBack("no GPU is free", next_step="wait")), "twin: not restarted", "no GPU is free"),
        (Run(error=CloudRefused("AccessDenied", next_step="allow it")), "twin: not restarted", "allow it"),
        (Run(error=TimedOut("still Creating", next_step="again")), "twin: still starting", "`opsctl deploy-endpoint`"),
        (Run(changed=False), "twin: needs a look", "is as it was released"),
    ],
)
def test_a_restart_that_did_not_help_calls_a_person_and_says_why(run: Run, subject: str, said: str) -> None:
    outcome, pages = restarted(run)
    assert outcome == "paged"
    assert pages[0][0] == subject
    assert said in pages[0][1]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"alarmData": {"alarmName": "twin-5xx", "state": {"reason": "6 > 5"}}}, "twin-5xx: 6 > 5"),
        (
            {"detail-type": "SageMaker Endpoint State Change", "detail": {"EndpointStatus": "FAILED"}},
            "SageMaker Endpoint State Change: FAILED",
        ),
        ({}, "somebody called the function"),
    ],
)
def test_the_reason_is_read_off_alarms_and_rules(event: dict[str, Any], said: str) -> None:
    assert reason(event) == said


@pytest.mark.parametrize(
    ("text", "more"), [(None, {}), (journals.spell(GOOD), {"project": "rag-platform"})], ids=["first", "released"]
)
def test_what_is_made_anew_carries_the_tags_that_the_bill_is_split_by(text: str | None, more: dict[str, str]) -> None:
    settings = Settings("dev", "twin", "bucket", "topic", "eu-north-1")
    assert tags_of(settings, Marker(text), "here") == {STACK_TAG: "dev", ENDPOINT_TAG: "twin", **more}


def test_the_function_needs_nothing_but_boto3_and_its_requirements() -> None:
    code = """
import sys
before = set(sys.modules)
import opsctl.functions.redeploy.handler
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lambdas = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}
    taken = {"certifi", "brotli", "_brotli", "_cffi_backend", "awscrt", "zstandard"}  # by urllib3, where they are
    found = {name for name in done.stdout.split() if not name.startswith("__")}
    assert found - lambdas - taken == {"opsctl", "infra", "tenacity"}
