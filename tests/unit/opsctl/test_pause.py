"""`opsctl pause` and `opsctl resume`: every part once, in an order that pages nobody, gone on from where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from opsctl.aws import standby as at_aws
from opsctl.aws import standby_machines as machines
from opsctl.errors import CloudRefused, RolledBack
from opsctl.kube.standby import Pods
from opsctl.stack import Cluster, Delivery
from opsctl.standby.bills import bills, in_all
from opsctl.standby.held import Held
from opsctl.standby.part import Look
from opsctl.standby.parts import PARTS
from opsctl.standby.run import Way, change
from tests.infra.cloud_cases import program

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

QUIET = Console(quiet=True)
REGION = "eu-north-1"


@dataclass
class Played:
    """A part that counts what was done to it."""

    name: str
    log: list[str]
    rests: bool = False
    there: bool = True
    fails: bool = False
    half: bool = False
    stays: bool = False

    def look(self) -> Look | None:
        now = "0" if self.rests else "2"
        return Look(now, self.rests, "2", half=self.half, stays=self.stays) if self.there else None

    def rest(self) -> None:
        self._set(rests=True)

    def wake(self) -> None:
        self._set(rests=False)

    def _set(self, *, rests: bool) -> None:
        if self.fails:
            raise CloudRefused(f"{self.name} refused", next_step="allow it")
        self.log.append(f"{self.name} {'rests' if rests else 'wakes'}")
        self.rests, self.half = rests, False


@dataclass
class Scene:
    log: list[str] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def parts(self) -> list[Played]:
        return [Played(name, self.log) for name in ("alarms", "tasks", "nodes", "endpoint")]


def test_alarms_are_silent_before_the_first_task_goes_and_loud_after_the_proof() -> None:
    scene = Scene()
    parts = scene.parts()
    change(parts, "pause", QUIET, scene.asked.append)
    assert scene.log == ["alarms rests", "tasks rests", "nodes rests", "endpoint rests"]
    scene.log.clear()
    done = change(parts, "resume", QUIET, scene.asked.append, lambda: scene.log.append("proved"))
    assert scene.log == ["endpoint wakes", "nodes wakes", "tasks wakes", "proved", "alarms wakes"]
    assert done.changed == ["endpoint", "nodes", "tasks", "alarms"]
    assert [len(plan) for plan in scene.asked] == [4, 4]


def test_what_was_refused_half_way_is_gone_on_from() -> None:
    scene = Scene()
    parts = scene.parts()
    parts[2].fails = True
    with pytest.raises(CloudRefused):
        change(parts, "pause", QUIET, scene.asked.append)
    assert scene.log == ["alarms rests", "tasks rests"]
    parts[2].fails = False
    done = change(parts, "pause", QUIET, scene.asked.append)
    assert done.changed == ["nodes", "endpoint"], "what rests already is left alone"
    assert [name for name, *_ in scene.asked[-1]] == ["nodes", "endpoint"]
    again = change(parts, "pause", QUIET, scene.asked.append)
    assert (again.changed, len(scene.asked)) == ([], 2), "nothing to do is not asked about"


def test_alarms_are_loud_again_where_the_stack_does_not_come_up() -> None:
    scene = Scene()
    parts = scene.parts()
    change(parts, "pause", QUIET, scene.asked.append)

    def fails() -> None:
        raise RolledBack("it doesn't run", next_step="look")

    with pytest.raises(RolledBack):
        change(parts, "resume", QUIET, scene.asked.append, fails)
    assert scene.log[-1] == "alarms wakes"


def test_alarms_are_loud_again_where_a_part_does_not_wake() -> None:
    scene = Scene()
    parts = scene.parts()
    change(parts, "pause", QUIET, scene.asked.append)
    parts[3].fails = True
    with pytest.raises(CloudRefused):
        change(parts, "resume", QUIET, scene.asked.append)
    assert scene.log[-1] == "alarms wakes"


def test_a_resume_that_is_typed_again_is_proved_again() -> None:
    scene = Scene()

    def fails() -> None:
        raise RolledBack("it doesn't run", next_step="look")

    for _ in range(2):
        with pytest.raises(RolledBack):
            change(scene.parts(), "resume", QUIET, scene.asked.append, fails)
    assert (scene.log, scene.asked) == ([], []), "all of them were awake"


@pytest.mark.parametrize("way", ["pause", "resume"])
def test_a_part_that_is_neither_is_brought_to_where_it_should_be(way: Way) -> None:
    scene = Scene()
    parts = scene.parts()
    for part in parts:
        part.rests = way == "pause"
    parts[1].half, parts[1].rests = True, False
    done = change(parts, way, QUIET, scene.asked.append)
    assert done.changed == ["tasks"]
    assert scene.asked == [[("tasks", "2", "at rest" if way == "pause" else "2")]]


@pytest.mark.parametrize("way", ["pause", "resume"])
def test_a_part_that_sleeps_by_itself_is_told_of_and_not_changed(way: Way) -> None:
    scene = Scene()
    parts = scene.parts()
    for part in parts:
        part.rests = way == "resume"
    parts[3].rests = parts[3].stays = True
    done = change(parts, way, QUIET, scene.asked.append)
    assert "endpoint" not in done.changed
    assert "endpoint" not in {name for name, *_ in scene.asked[0]}
    assert ("endpoint", "0", "0") in done.parts


def test_no_consent_changes_nothing() -> None:
    scene = Scene()

    def refuses(_: object) -> None:
        raise CloudRefused("no", next_step="yes")

    with pytest.raises(CloudRefused):
        change(scene.parts(), "pause", QUIET, refuses)
    assert scene.log == []


def given(name: str) -> dict[str, str]:
    """What a provider chooses where the program does not."""
    return {"name": name, "id": f"id-{name}", "nodeGroupName": name}


def held(stack: str, **more: Any) -> Held:
    """The state that the program would leave, as the engine exports it."""
    return Held(
        [
            {"type": each.type, "inputs": each.inputs, "outputs": given(each.name)}
            for each in program(stack, **more).resources
        ]
    )


class TestParts:
    """Read from what the real program declares, so that a type that changes its name is missed here."""

    def test_ecs(self) -> None:
        stores = {"retrieval": {"qdrant": "self-hosted"}, "documents": {"mongo": "self-hosted"}}
        state = held("dev", ecs={"capacity": "ec2", "instances": {"min": 2, "max": 4}}, **stores)
        where = Delivery(topology="ecs", region=REGION, cluster=Cluster(name="c", service="s"))
        tasks, instances, hosts = PARTS["ecs"](where, state)
        assert (tasks, instances.name) == (at_aws.Tasks(REGION, "c", "s"), "instances")
        assert isinstance(instances, machines.Instances)
        assert instances.fewest == 2
        assert isinstance(hosts, machines.StoreHosts)
        assert len(hosts.ids) == 2

    def test_eks(self) -> None:
        state = held("prod", topology="eks", retrieval={"qdrant": "self-hosted"})
        where = Delivery(topology="eks", region=REGION, cluster=Cluster(name="c", service="rag-prod/rag-api"))
        service, qdrant, nodes = PARTS["eks"](where, state)
        assert service == Pods(REGION, "c", "rag-prod", "deployment", "rag-api", 2, "pods")
        assert isinstance(qdrant, Pods)
        assert (qdrant.kind, qdrant.of, qdrant.awake >= 1) == ("stateful_set", "qdrant", True)
        assert isinstance(nodes, machines.Nodes)
        assert nodes.fewest >= 1

    def test_lambda(self) -> None:
        warm = {"provisionedConcurrency": 3, "reservedConcurrency": 20}
        state = held("prod", topology="lambda", **{"lambda": warm})
        names = [each["name"] for each in state.of("aws:lambda/function:Function")]
        name = next(
            each for each in names if each.endswith("-function") and "redeploy" not in each and "cost" not in each
        )
        where = Delivery(topology="lambda", region=REGION, cluster=Cluster(name=name, service="live"))
        (function,) = PARTS["lambda"](where, state)
        assert isinstance(function, at_aws.Function)
        assert (function.reserved, function.warm) == (20, 3)

    def test_an_edge_has_none(self) -> None:
        assert PARTS["hybrid"](Delivery(topology="hybrid", region=REGION), Held([])) == []


def test_what_still_bills_is_listed_dearest_first_and_the_unpriced_before_all() -> None:
    running = {"nat.hour": Decimal(2), "alb.hour": Decimal(1), "odd.hour": Decimal(1)}
    found = bills(running, {"nat.hour": Decimal("0.046"), "alb.hour": Decimal("0.025")})
    assert [bill.key for bill in found] == ["odd.hour", "nat.hour", "alb.hour"]
    assert in_all(found) == Decimal("0.117")


class TestCommand:
    @pytest.fixture
    def scene(self, monkeypatch: pytest.MonkeyPatch) -> Scene:
        scene = Scene()
        parts = scene.parts()

        class Opened:
            def __init__(self) -> None:
                self.parts = parts

            def prove(self) -> None:
                scene.log.append("proved")

            def bills(self) -> Any:
                return bills({"nat.hour": Decimal(2)}, {"nat.hour": Decimal("0.05")})

        opened = Opened()
        monkeypatch.setattr("opsctl.standby.open.open_standby", lambda *_, **__: opened)
        return scene

    def test_without_a_terminal_it_wants_to_be_told_yes(self, opsctl: Run, scene: Scene) -> None:
        done = opsctl("pause", "--stack", "dev")
        assert (done.code, "--yes" in done.err.splitlines()[-1], scene.log) == (2, True, [])

    def test_it_says_what_was_done_and_what_still_bills(self, opsctl: Run, scene: Scene) -> None:
        done = opsctl("pause", "--stack", "dev", "--yes")
        assert done.code == 0, done.err
        assert "0.1000, 73.00 a month" in done.out
        assert "at rest" in done.out
        back = opsctl("resume", "--stack", "dev", "--yes", "-o", "json")
        assert back.document["changed"] == ["endpoint", "nodes", "tasks", "alarms"]
        assert (back.document["usdPerHour"], "opsctl smoke-test" in back.err) == ("0.1", True)
        again = opsctl("resume", "--stack", "dev", "--yes")
        assert "nothing to do: it is so already, and it runs" in again.err

    def test_a_stack_without_a_cloud_bills_nothing(self, opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("opsctl.standby.open.read_delivery", lambda *_: Delivery(topology="hybrid"))
        done = opsctl("pause", "--stack", "local", "--yes")
        assert (done.code, "it bills nothing" in done.err) == (2, True)
