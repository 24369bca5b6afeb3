"""A service's lines, wherever the stack keeps them; those of a stage, and not those for machines."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsctl.follow import Line
from opsctl.stack import Delivery

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

FILES = {"topology": "hybrid", "logs": {"kind": "files", "selector": "run/logs/*.log"}, "jobs": {"hosts": ["local"]}}
CLOUD = {"topology": "ecs", "region": "us-east-1", "logs": {"kind": "cloudwatch", "group": "/rag/prod/service"}}


def said(minutes_ago: float = 1, **fields: Any) -> str:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return json.dumps({"time": at.isoformat(), "level": "info", "message": "POST /rag 200", **fields})


@pytest.fixture
def of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "Pulumi.yaml").write_text("name: rag-platform\nruntime: python\n")
    monkeypatch.chdir(tmp_path)

    def delivered(delivery: dict[str, Any]) -> Path:
        monkeypatch.setattr("opsctl.stack.read_delivery", lambda *_: Delivery.model_validate(delivery))
        folder = tmp_path / "run" / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    return delivered


def test_lines_of_an_edge_come_out_of_its_files_in_the_order_of_their_times(opsctl: Run, of: Any) -> None:
    folder = of(FILES)
    lines = [said(3, n=1), said(1, n=3), said(99, n=0), said(2, n=2, _aws={})]
    (folder / "service.log").write_text("\n".join(lines) + "\n")
    (folder / "llama.log").write_text("plain words of the model's server\n")
    ended = opsctl("logs", "--stack", "local")
    assert ended.code == 0
    assert [word in ended.out for word in ('"n": 1', '"n": 3', "plain words", '"n": 0', '"n": 2')] == [
        *[True] * 3,
        *[False] * 2,
    ]
    assert ended.out.index('"n": 1') < ended.out.index('"n": 3') < ended.out.index("plain words")
    assert '"n": 2' in opsctl("logs", "--stack", "local", "--metrics").out
    assert '"n": 0' in opsctl("logs", "--stack", "local", "--since", "120").out


def test_a_stages_lines_are_those_that_failed_in_it_or_did_without_it(opsctl: Run, of: Any) -> None:
    folder = of(FILES)
    lines = [said(degraded=["reranking"], n=1), said(stage="reranking", n=2), said(degraded=[], n=3), "reranking"]
    (folder / "service.log").write_text("\n".join(lines) + "\n")
    ended = opsctl("logs", "--stack", "local", "--stage", "reranking", "-o", "json")
    documents = [json.loads(line) for line in ended.out.splitlines()]
    assert [json.loads(each["text"])["n"] for each in documents] == [1, 2]
    assert {each["stream"] for each in documents} == {"service"}
    nothing = opsctl("logs", "--stack", "local", "--stage", "retrieval")
    assert (nothing.code, nothing.out, "no such lines" in nothing.err) == (0, "", True)


def test_lines_of_the_cloud_come_out_of_the_stacks_group(opsctl: Run, of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    of(CLOUD)
    asked: list[Any] = []

    class Group:
        def __init__(self, region: str, group: str) -> None:
            asked.append((region, group))

        def since(self, start_ms: int) -> list[Line]:
            asked.append(start_ms)
            return [Line("1", int(time.time() * 1000), "task/1", said(n=7))]

    monkeypatch.setattr("opsctl.aws.logs.LogGroup", Group)
    ended = opsctl("logs", "--stack", "prod", "--since", "5")
    assert (ended.code, '"n": 7' in ended.out) == (0, True)
    assert asked[0] == ("us-east-1", "/rag/prod/service")
    assert abs(asked[1] / 1000 - (time.time() - 300)) < 60


@pytest.mark.parametrize(
    ("delivery", "code", "reason"),
    [
        ({**FILES, "jobs": {"hosts": ["ssh://edge@device"]}}, 2, "are on ssh://edge@device; read them there"),
        ({"topology": "ecs"}, 2, "doesn't say where its lines are"),
    ],
)
def test_what_can_not_be_read_says_where_it_is(
    opsctl: Run, of: Any, delivery: dict[str, Any], code: int, reason: str
) -> None:
    of(delivery)
    ended = opsctl("logs", "--stack", "s")
    assert (ended.code, reason in ended.err, ended.err.count("\n")) == (code, True, 1)
