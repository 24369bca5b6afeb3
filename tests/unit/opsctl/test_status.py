"""One screen about a stack: each line for itself, and none that guesses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from opsctl.aws import alarms
from opsctl.aws.running import Running
from opsctl.deploy.engine import Update
from opsctl.deploy.verdict import Verdict
from opsctl.errors import CloudRefused
from opsctl.stack import Delivery
from tests.unit.opsctl.conftest import Reply

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
UP = {"vectorStore": "up", "generator": "up"}


@dataclass
class Played:
    """What the stack, the engine and the cloud say."""

    delivery: dict[str, Any]
    verdict: Any = field(default_factory=lambda: Verdict("running", "rag:7 runs, 2 of 2 replicas"))
    result: str = "succeeded"
    endpoint: str = "InService"
    rings: Any = ()
    by_price: dict[str, Decimal] = field(default_factory=lambda: {"alb.hour": Decimal(2)})


@pytest.fixture
def played(service: PlayedService, monkeypatch: pytest.MonkeyPatch) -> Played:
    service.says("/health", Reply(body={"dependencies": UP}))
    said = Played(
        {
            "topology": "ecs",
            "region": "us-east-1",
            "url": service.url,
            "healthUrl": f"{service.url}/health",
            "release": {"image": "r/rag@sha256:1", "revision": "rag:7"},
            "endpoint": {"name": "twin"},
        }
    )

    def raising(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    update = Update(7, NOON, "Ada", "r/rag@sha256:1", said.result, {}, {})
    engine = type("E", (), {"updates": lambda _, __: (Update(7, NOON, "Ada", update.image, said.result, {}, {}),)})
    monkeypatch.setattr("opsctl.status.read_delivery", lambda *_: Delivery.model_validate(said.delivery))
    monkeypatch.setattr("opsctl.status.verdict_now", lambda *_: said.verdict)
    monkeypatch.setattr("opsctl.status.open_engine", lambda *_: engine())
    monkeypatch.setattr("opsctl.aws.limits.endpoint_state", lambda *_: said.endpoint)
    monkeypatch.setattr("opsctl.aws.alarms.ringing", lambda *_: raising(said.rings))
    monkeypatch.setattr(Running, "by_price", lambda *_: said.by_price)
    monkeypatch.setattr(Running, "spent_usd", lambda *_: Decimal("0.10"))
    return said


def asked(opsctl: Run) -> tuple[int, dict[str, tuple[str, str]], str]:
    ended = opsctl("status", "--stack", "prod", "-o", "json")
    return (
        ended.code,
        {each["name"]: (each["status"], each["evidence"]) for each in ended.document["checks"]},
        ended.err,
    )


@pytest.mark.usefixtures("played")
def test_a_stack_that_is_well(opsctl: Run) -> None:
    code, lines, _ = asked(opsctl)
    assert code == 0
    assert lines["release"] == ("ok", "running: rag:7 runs, 2 of 2 replicas")
    assert lines["last deploy"] == ("ok", "2026-11-26 12:00 by Ada: succeeded")
    assert lines["dependencies"] == ("ok", "generator up, vectorStore up")
    assert lines["model endpoint"] == ("ok", "twin InService")
    assert lines["alarms"] == ("ok", "none rings")
    assert lines["cost now"] == ("ok", "0.145 USD an hour"), "two balancers of 0.0225, and 0.10 for tokens"
    assert "rag:7 runs" in opsctl("status", "--stack", "prod").out


@pytest.mark.parametrize(
    ("changed", "line", "found"),
    [
        ({"verdict": Verdict("rolled back", "rag:6 runs, not rag:7")}, "release", "rolled back: rag:6 runs, not rag:7"),
        ({"result": "failed"}, "last deploy", "2026-11-26 12:00 by Ada: failed"),
        ({"endpoint": "Failed"}, "model endpoint", "twin Failed"),
        ({"rings": ("rag-platform-prod-errors", "rag-platform-prod-disk-mongo")}, "alarms", "errors, disk-mongo"),
    ],
)
def test_what_is_not_as_promised_is_exit_code_1(
    opsctl: Run, played: Played, changed: dict[str, Any], line: str, found: str
) -> None:
    for name, value in changed.items():
        setattr(played, name, value)
    code, lines, err = asked(opsctl)
    assert (code, lines[line]) == (1, ("failed", found))
    assert f"stack 'prod': {line} not as promised; " in err.splitlines()[-1]


def test_a_dependency_that_is_down_is_not_as_promised(opsctl: Run, played: Played, service: PlayedService) -> None:
    assert played.endpoint
    service.says("/health", Reply(status=503, body={"dependencies": {**UP, "generator": "down"}}))
    code, lines, _ = asked(opsctl)
    assert (code, lines["dependencies"]) == (1, ("failed", "generator down, vectorStore up"))


def test_what_is_refused_is_unknown_and_names_the_permission(
    opsctl: Run, played: Played, service: PlayedService
) -> None:
    played.rings = CloudRefused("AWS refused to show alarms", next_step="allow or correct DescribeAlarms")
    played.verdict = CloudRefused("AWS refused to show the service", next_step="allow DescribeServices")
    service.says("/health", Reply(body=["no", "health"]))
    code, lines, _ = asked(opsctl)
    assert code == 0
    assert lines["alarms"] == ("unknown", "AWS refused to show alarms")
    assert lines["release"] == ("unknown", "AWS refused to show the service")
    assert lines["dependencies"][0] == "unknown"
    assert "DescribeAlarms" in opsctl("status", "--stack", "prod").out


def test_an_edge_without_a_cloud_is_asked_for_nothing_there(opsctl: Run, played: Played) -> None:
    played.delivery |= {"topology": "hybrid", "region": None, "endpoint": None}
    code, lines, _ = asked(opsctl)
    assert (code, set(lines)) == (0, {"topology", "url", "release", "last deploy", "dependencies"})


def test_the_first_phase_runs_nothing_and_that_is_well(opsctl: Run, played: Played) -> None:
    played.delivery |= {"release": {"image": None}, "url": None, "healthUrl": None}
    played.endpoint = ""
    code, lines, _ = asked(opsctl)
    assert (code, lines["release"], lines["model endpoint"]) == (
        0,
        ("ok", "nothing runs yet"),
        ("ok", "twin is not deployed"),
    )


def test_ringing_alarms_are_asked_for_by_their_stacks_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(alarms, "client", lambda *_: cloudwatch)
    with Stubber(cloudwatch) as stub:
        stub.add_response(
            "describe_alarms",
            {
                "MetricAlarms": [{"AlarmName": "rag-platform-s-errors"}],
                "CompositeAlarms": [{"AlarmName": "rag-platform-s-a"}],
            },
            {
                "AlarmNamePrefix": "rag-platform-s-",
                "StateValue": "ALARM",
                "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
            },
        )
        assert alarms.ringing("us-east-1", "rag-platform-s-") == ("rag-platform-s-a", "rag-platform-s-errors")
