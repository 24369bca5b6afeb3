"""A run as a whole, on a cloud in memory: what it asks, what it leaves alone, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from opsctl.endpoint import journal as journals
from opsctl.endpoint.journal import Holder, Journal
from opsctl.endpoint.lock import LEASE_S, Held, Lock
from opsctl.endpoint.names import Names
from opsctl.endpoint.resources import Resource
from opsctl.endpoint.run import EndpointRun, Options, Report
from opsctl.errors import CheckFailed, CloudRefused, NotDeployed, NotUsable, RolledBack, TimedOut
from tests.unit.opsctl.endpoint.simulator import Drawer, Simulator, refused
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC

NEXT = replace(CLASSIC, context_tokens=8192)
OTHER = Holder("other", "ann@desk", "desk", 4711, 0.0, "2026-11-26T01:00:00+00:00")


@dataclass
class Notes:
    lines: list[str] = field(default_factory=list)

    def step(self, number: int, total: int, what: str) -> None:
        self.lines.append(what)

    def waiting(self, what: str, elapsed_s: float) -> None:
        self.lines.append(what)

    def note(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Desk:
    """A cloud, a journal, and runs on them."""

    cloud: Simulator = field(default_factory=Simulator)
    drawer: Drawer = field(default_factory=Drawer)
    notes: Notes = field(default_factory=Notes)

    def run(self, consent: Callable[[Report], None] = lambda _: None, **options: Any) -> EndpointRun:
        me = Holder("me", "me@here", "here", 1, 0.0, "2026-11-26T02:00:00+00:00")
        lock = Lock(self.drawer, "s3://bucket/journal", me, gone=lambda _: False)
        return EndpointRun("dev", Names("twin"), self.cloud, lock, self.notes, consent, Options(poll_s=0.0, **options))

    @property
    def journal(self) -> Journal:
        assert self.drawer.text is not None
        return journals.read(self.drawer.text, "here")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_second_run_writes_nothing_not_even_the_journal(desk: Desk) -> None:
    assert desk.run().deploy(CLASSIC).error is None
    calls, version = len(desk.cloud.calls), desk.drawer.version
    report = desk.run(consent=lambda _: pytest.fail("there is nothing to agree to")).deploy(CLASSIC)
    assert (report.error, report.steps) == (None, ())
    assert (len(desk.cloud.calls), desk.drawer.version) == (calls, version)


def test_what_ran_is_remembered_and_a_rollback_goes_there(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)
    desk.run().deploy(NEXT)
    assert [each.spec for each in desk.journal.releases] == [NEXT, CLASSIC]
    assert desk.run().roll_back().error is None
    assert [each.spec for each in desk.journal.releases] == [CLASSIC, NEXT]


def test_with_one_release_there_is_nothing_to_roll_back_to(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)
    assert isinstance(desk.run().roll_back().error, NotDeployed)


def test_a_rollback_of_an_unfinished_attempt_goes_to_the_last_good_release(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)
    desk.run().deploy(NEXT)
    assert desk.run(wait=False).deploy(replace(CLASSIC, context_tokens=1024)).pending
    assert desk.run().roll_back().error is None
    assert desk.journal.last_good == NEXT
    assert desk.run().deploy(NEXT).steps == ()


def test_a_rollback_that_was_left_unfinished_goes_on_to_where_it_was_going(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)
    desk.run().deploy(NEXT)
    assert desk.run(wait=False).roll_back().pending == 1  # it may still be taken back
    assert desk.journal.last_good == NEXT
    assert desk.run().roll_back().error is None
    assert desk.journal.last_good == CLASSIC


def test_a_run_that_does_not_wait_is_finished_by_the_next(desk: Desk) -> None:
    report = desk.run(wait=False).deploy(ASLEEP)
    assert report.error is None
    assert report.pending == 6
    assert desk.journal.attempt is not None
    assert desk.journal.holder is None
    assert desk.run().deploy(ASLEEP).error is None
    assert desk.journal.last_good == ASLEEP


def test_a_dry_run_touches_nothing(desk: Desk) -> None:
    report = desk.run(dry_run=True).deploy(CLASSIC)
    assert len(report.steps) == 7
    assert desk.cloud.calls == []
    assert desk.drawer.text is None


def test_without_consent_nothing_is_touched(desk: Desk) -> None:
    def no(report: Report) -> None:
        raise NotUsable("no terminal", next_step="give --yes")

    assert isinstance(desk.run(consent=no).deploy(CLASSIC).error, NotUsable)
    assert desk.cloud.calls == []
    assert desk.drawer.text is None


def test_what_changes_between_plan_and_lock_is_not_overwritten(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)

    def meanwhile(report: Report) -> None:
        desk.cloud.parts.pop(("alarm", Names("twin").errors_alarm))

    report = desk.run(consent=meanwhile).deploy(NEXT)
    assert isinstance(report.error, CheckFailed)
    assert "read the new plan" in str(report.error)


@pytest.mark.parametrize("spec", [CLASSIC, ASLEEP])
def test_a_model_that_never_gets_healthy_is_taken_back(desk: Desk, spec: Any) -> None:
    desk.run().deploy(spec)
    before = dict(desk.cloud.parts)
    worse = replace(spec, context_tokens=8192)
    desk.cloud.failing = {each.name for each in _models(worse)}
    report = desk.run().deploy(worse)
    assert isinstance(report.error, RolledBack)
    assert "did not pass the ping health check" in str(report.error)
    assert "  | the model's last words" in desk.notes.lines
    assert {key: part.request for key, part in desk.cloud.parts.items()} == {
        key: part.request for key, part in before.items()
    }
    assert desk.journal.last_good == spec
    assert desk.journal.failure is not None


def test_a_call_that_aws_refuses_takes_back_the_steps_before_it(desk: Desk) -> None:
    class Full(Simulator):
        def create(self, resource: Resource) -> None:
            if resource.kind == "endpoint":
                raise refused("ResourceLimitExceeded")
            super().create(resource)

    desk.cloud = Full()
    assert isinstance(desk.run().deploy(CLASSIC).error, CloudRefused)
    assert desk.cloud.parts == {}
    assert desk.journal.holder is None


def test_a_leftover_that_can_not_be_deleted_takes_no_proven_release_back(desk: Desk) -> None:
    class Keeper(Simulator):
        keeps = True

        def remove(self, resource: Resource) -> None:
            if self.keeps and resource.kind == "model":
                raise refused("AccessDenied")
            super().remove(resource)

    desk.cloud = keeper = Keeper()
    newest = replace(CLASSIC, context_tokens=1024)
    for spec in (CLASSIC, NEXT):
        assert desk.run().deploy(spec).error is None
    error = desk.run().deploy(newest).error
    assert isinstance(error, CloudRefused)
    assert "what was asked for runs, but AccessDenied" in str(error)
    assert keeper.serving() == _models(newest)[0].name
    assert [each.spec for each in desk.journal.releases] == [newest, NEXT]
    assert (desk.journal.attempt, desk.journal.holder) == (None, None)
    keeper.keeps = False
    report = desk.run().deploy(newest)
    assert report.error is None
    assert [step.key for step in report.steps] == [_models(CLASSIC)[0].key]


def test_an_endpoint_that_never_settles_times_out_and_is_left_to_be_resumed(desk: Desk) -> None:
    class Slow(Simulator):
        def create(self, resource: Resource) -> None:
            super().create(resource)
            if resource.kind == "endpoint":
                self.parts[resource.key] = replace(self.parts[resource.key], status="Creating")

    desk.cloud = Slow()
    report = desk.run(limit_s=0.05).deploy(CLASSIC)
    assert isinstance(report.error, TimedOut)
    assert report.error.exit_code == 4
    assert desk.journal.attempt is not None
    assert any("to undo, `opsctl endpoint delete`" in line for line in desk.notes.lines)
    desk.cloud.parts["endpoint", "twin"] = replace(desk.cloud.parts["endpoint", "twin"], status="InService")
    assert desk.run().deploy(CLASSIC).error is None
    assert [call for call in desk.cloud.calls if call[1][0] == "endpoint"] == [("create", ("endpoint", "twin"))]


def test_ctrl_c_leaves_the_journal_and_says_how_to_go_on(desk: Desk) -> None:
    class Interrupted(Simulator):
        def create(self, resource: Resource) -> None:
            if resource.kind == "endpoint":
                raise KeyboardInterrupt
            super().create(resource)

    desk.cloud = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        desk.run().deploy(CLASSIC)
    assert desk.journal.attempt is not None
    assert desk.journal.attempt.spec == CLASSIC
    assert desk.journal.holder is None
    assert any("to go on, run the same command" in line for line in desk.notes.lines)


def test_drift_is_told_apart_from_what_is_wanted(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)
    key = ("alarm", Names("twin").errors_alarm)
    found = desk.cloud.parts[key]
    desk.cloud.parts[key] = replace(found, request={**found.request, "Threshold": 5000.0})
    del desk.cloud.parts["policy", Names("twin").load_policy]
    report = desk.run(dry_run=True).deploy(NEXT)
    assert [str(each) for each in report.drift] == [
        "alarm twin-endpoint-5xx: Threshold is 5000.0, not 5.0",
        "policy twin-load is gone",
    ]


def test_putting_drift_right_keeps_what_a_rollback_needs(desk: Desk) -> None:
    desk.run().deploy(CLASSIC)
    desk.run().deploy(NEXT)
    del desk.cloud.parts["alarm", Names("twin").latency_alarm]
    report = desk.run().deploy(NEXT)
    assert [step.verb for step in report.steps] == ["create"]
    assert [each.spec for each in desk.journal.releases] == [NEXT, CLASSIC]


def test_what_another_stack_owns_is_not_touched(desk: Desk) -> None:
    desk.cloud.foreign = {"twin": "prod"}
    assert "belongs to stack 'prod'" in str(desk.run().deploy(CLASSIC).error)
    assert desk.cloud.calls == []


def held(desk: Desk, age_s: float = 0.0) -> None:
    desk.drawer.write(journals.spell(Journal().begun("deploy", CLASSIC, OTHER, ())), None)
    desk.drawer.age_s = age_s


def test_who_holds_the_lock_is_told_and_since_when(desk: Desk) -> None:
    held(desk)
    error = desk.run().deploy(CLASSIC).error
    assert isinstance(error, Held)
    assert error.exit_code == 1
    assert "ann@desk (process 4711) has been working on this endpoint since 2026-11-26T01:00:00" in str(error)
    assert desk.cloud.calls == []


def test_a_lease_that_has_run_out_is_taken_over(desk: Desk) -> None:
    held(desk, age_s=LEASE_S + 1)
    assert desk.run().deploy(CLASSIC).error is None


def test_of_two_that_begin_at_once_one_wins(desk: Desk) -> None:
    def faster(report: Report) -> None:
        held(desk)

    error = desk.run(consent=faster).deploy(CLASSIC).error
    assert isinstance(error, Held)
    assert "ann@desk" in str(error)
    assert desk.cloud.calls == []


def test_a_run_that_lost_its_lease_stops_before_its_next_step(desk: Desk) -> None:
    class Overtaken(Simulator):
        def create(self, resource: Resource) -> None:
            super().create(resource)
            if resource.kind == "config":
                desk.drawer.version += 1  # somebody else wrote
                desk.drawer.text = journals.spell(Journal().begun("deploy", NEXT, OTHER, ()))

    desk.cloud = Overtaken()
    run = desk.run()
    run.lock.lease_s = 0.0  # renewed before every step
    error = run.deploy(CLASSIC).error
    assert isinstance(error, Held)
    assert len(desk.cloud.calls) == 2
    assert desk.journal.holder == OTHER
    assert not any("undo" in line for line in desk.notes.lines)  # what was begun is the other run's now


def test_a_write_whose_answer_was_lost_is_known_as_ones_own(desk: Desk) -> None:
    class Lossy(Drawer):
        def write(self, text: str, on: str | None) -> str:
            super().write(text, on)
            return super().write(text, on)  # the SDK's second try, on a version that is no longer the newest

    desk.drawer = Lossy()
    assert desk.run().deploy(CLASSIC).error is None


def test_the_journal_is_read_as_it_was_written() -> None:
    journal = Journal().begun("deploy", ASLEEP, OTHER, ("create model a",)).ended().begun("delete", None, OTHER, ())
    assert journals.read(journals.spell(journal), "here") == journal


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "releases": 3}'])
def test_a_journal_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(NotUsable, match=r"the journal here can't be read"):
        journals.read(text, "here")


def _models(spec: Any) -> list[Resource]:
    from opsctl.endpoint.resources import resources

    return [each for each in resources(spec) if each.kind == "model"]
