"""`opsctl dashboard` and `opsctl alerts`: addresses and messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from opsctl.errors import NotDeployed
from opsctl.links import links
from opsctl.stack import Delivery
from tests.infra.cloud_cases import config, second_phase

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Ended

    Run = Callable[..., Ended]

TOPICS = {"critical": "arn:aws:sns:eu-north-1:1:prod-pager", "warning": "arn:aws:sns:eu-north-1:1:prod-notices"}
WHOLE = {
    "topology": "ecs",
    "region": "eu-north-1",
    "topics": TOPICS,
    "dashboardUrl": "https://eu-north-1.console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/rag",
    "logs": {"kind": "cloudwatch", "group": "/rag/prod/service"},
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, str]]:
    messages: list[tuple[str, str, str, str]] = []
    monkeypatch.setattr("opsctl.aws.pages.publish", lambda *message: messages.append(message))
    return messages


def stack(monkeypatch: pytest.MonkeyPatch, outputs: dict[str, object]) -> None:
    monkeypatch.setattr("opsctl.stack.read_delivery", lambda *_: Delivery.model_validate(outputs))


def test_a_test_message_goes_to_both_topics_and_says_that_it_is_one(
    opsctl: Run, sent: list[tuple[str, str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack(monkeypatch, WHOLE)
    said = json.loads(opsctl("alerts", "test", "--stack", "prod", "--output", "json").out)
    assert said["sent"] == TOPICS
    assert [message[1] for message in sent] == list(TOPICS.values())
    assert all(message[2].startswith("TEST ") and "nothing is wrong" in message[3] for message in sent)


def test_one_of_the_topics_can_be_named(
    opsctl: Run, sent: list[tuple[str, str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack(monkeypatch, WHOLE)
    assert opsctl("alerts", "test", "--stack", "prod", "--only", "warning").code == 0
    assert [message[1] for message in sent] == [TOPICS["warning"]]


def test_a_stack_that_tells_nobody_says_so(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stack(monkeypatch, {"topology": "hybrid"})
    ended = opsctl("alerts", "test", "--stack", "local")
    assert (ended.code, "has no topics" in ended.err) == (NotDeployed.exit_code, True)


def test_dashboard_log_and_traces_are_named_where_they_are() -> None:
    opik = {"monitoring": {"opik": True, "opikWorkspace": "team"}, "secrets": {"opikApiKey": {"secure": "planted"}}}
    found = links(Delivery.model_validate(WHOLE), config("prod", second_phase(**opik)), "prod")
    assert found["dashboard"] == WHOLE["dashboardUrl"]
    assert found["log"].endswith("log-groups/log-group/$252Frag$252Fprod$252Fservice")
    assert found["traces"] == "https://www.comet.com/opik/team/projects?search=rag-platform-prod"
    assert links(Delivery.model_validate({"topology": "hybrid"}), config("local"), "local") == {}


def test_the_command_prints_them(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stack(monkeypatch, WHOLE)
    said = json.loads(opsctl("dashboard", "--stack", "prod", "--output", "json").out)
    assert list(said["links"]) == ["dashboard", "log"]
    stack(monkeypatch, {"topology": "hybrid"})
    assert "make watch" in opsctl("dashboard", "--stack", "local").err
