"""A run on one endpoint: observe, plan, ask, lock, act, judge, remember. Deploy, roll back and delete are such runs.

It prints no data and asks nothing itself: consent is a function that it is given, the report is its result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsctl.endpoint.execute import Executor, Leftover, Pace
from opsctl.endpoint.lock import Held, Lock
from opsctl.endpoint.names import Names
from opsctl.endpoint.plan import plan, refuse_foreign, removal, wanted
from opsctl.endpoint.resources import resources
from opsctl.endpoint.state import drift
from opsctl.endpoint.steps import told
from opsctl.errors import CheckFailed, CloudRefused, NotDeployed, OpsctlError, RolledBack

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.execute import Watch
    from opsctl.endpoint.journal import Action, Journal
    from opsctl.endpoint.ports import Cloud
    from opsctl.endpoint.rollout import Strategy
    from opsctl.endpoint.spec import EndpointSpec
    from opsctl.endpoint.state import Difference, State
    from opsctl.endpoint.steps import Step


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes about it.

    Attributes:
        wait: False leaves as soon as something has to be waited for; the same command goes on from there.
        limit_s: of the whole run.
        keep_failed: what failed stays to be looked at.
    """

    dry_run: bool = False
    wait: bool = True
    limit_s: float = 3600.0
    poll_s: float = 10.0
    keep_failed: bool = False
    strategy: Strategy = "all-at-once"


@dataclass(slots=True)
class Report:
    """How far a run came; filled as it goes, so that a failure still shows what was done.

    Attributes:
        pending: steps that a run that does not wait left.
    """

    stack: str
    endpoint: str
    dry_run: bool = False
    steps: tuple[Step, ...] = ()
    drift: tuple[Difference, ...] = ()
    pending: int = 0
    changed: bool = False
    error: OpsctlError | None = None


@dataclass(slots=True)
class EndpointRun:
    """One run.

    Attributes:
        consent: is given the report before anything changes, and raises to refuse it.
    """

    stack: str
    names: Names
    cloud: Cloud
    lock: Lock
    watch: Watch
    consent: Callable[[Report], None]
    options: Options = field(default_factory=Options)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(self.options.limit_s, self.options.poll_s, self.options.wait)

    def deploy(self, spec: EndpointSpec) -> Report:
        """Bring the endpoint to `spec`; what does not hold is the report's `error`."""
        return self._reported(lambda report: self._reach("deploy", spec, report))

    def roll_back(self) -> Report:
        """Bring the endpoint to the release before: the last good one where a change was left unfinished."""

        def back(report: Report) -> None:
            journal = self.lock.read()
            target = _rollback_target(journal, self.names.endpoint)
            self._reach("rollback", target, report)

        return self._reported(back)

    def delete(self) -> Report:
        """Remove all that the endpoint consists of."""
        return self._reported(self._delete)

    def _reported(self, work: Callable[[Report], None]) -> Report:
        report = Report(self.stack, self.names.endpoint, dry_run=self.options.dry_run)
        try:
            work(report)
        except OpsctlError as exc:
            report.error = exc
        return report

    def _reach(self, action: Action, spec: EndpointSpec, report: Report) -> None:
        journal = self.lock.read()
        to = wanted(spec, journal.earlier_than(spec), self.options.strategy)
        state = self._observed()
        report.drift = _drift(journal, state)
        report.steps = plan(state, to)
        if report.steps or journal.last_good != spec or journal.attempt is not None:
            begun = journal.begun(action, spec, self.lock.me, _in_words(report.steps))
            self._carry_out(begun, report, lambda: plan(self._observed(), to))

    def _delete(self, report: Report) -> None:
        journal = self.lock.read()
        report.steps = removal(self._observed())
        if report.steps or journal.releases or journal.attempt is not None:
            begun = journal.begun("delete", None, self.lock.me, _in_words(report.steps))
            self._carry_out(begun, report, lambda: removal(self._observed()))

    def _carry_out(self, begun: Journal, report: Report, planned: Callable[[], tuple[Step, ...]]) -> None:
        if self.options.dry_run:
            return
        if report.steps:
            self.consent(report)
        self.lock.take(begun)
        try:
            self._hold_to(report.steps, planned())
            report.changed = bool(report.steps)
            report.pending = len(report.steps) - self._executor().run(report.steps)
        except Held:
            raise  # the journal is another run's now
        except Leftover:
            self.lock.close(begun.ended())
            raise
        except (RolledBack, CloudRefused, CheckFailed) as exc:
            self.lock.close(begun.failed(str(exc)))
            raise
        except (OpsctlError, KeyboardInterrupt):
            self.lock.close(begun.interrupted())
            self.watch.note(f"left as it is; to go on, run the same command; to undo, {_way_back(begun)}")
            raise
        self.lock.close(begun.interrupted() if report.pending else begun.ended())

    def _hold_to(self, agreed: tuple[Step, ...], now: tuple[Step, ...]) -> None:
        """What was agreed to before the lock was taken is still what has to be done.

        Raises:
            CheckFailed
        """
        if agreed != now:
            raise CheckFailed(
                f"endpoint '{self.names.endpoint}' was changed since the plan was made",
                next_step="run the same command again and read the new plan",
            )

    def _observed(self) -> State:
        """The endpoint once nothing about it is changing."""
        state = self.cloud.observe(self.names)
        refuse_foreign(state, self.names.endpoint, self.stack)
        while state.busy is not None and not self.options.dry_run:
            if not self.options.wait:
                raise CheckFailed(
                    f"{state.busy.kind} {state.busy.name} is {state.busy.status}",
                    next_step="run it without --no-wait: it waits and goes on from there",
                )
            self._executor().settle(state.busy.key)
            state = self.cloud.observe(self.names)
        return state

    def _executor(self) -> Executor:
        return Executor(self.cloud, self.watch, self._pace, self.lock.beat, self.options.keep_failed)


def _drift(journal: Journal, state: State) -> tuple[Difference, ...]:
    """What somebody else changed since the last release; an unfinished attempt's own changes are none."""
    if journal.last_good is None or journal.attempt is not None:
        return ()
    return drift(resources(journal.last_good), state)


def _in_words(steps: tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(told(step) for step in steps)


def _way_back(journal: Journal) -> str:
    return "`opsctl endpoint rollback`" if journal.releases else "`opsctl endpoint delete`"


def _rollback_target(journal: Journal, endpoint: str) -> EndpointSpec:
    """Where an unfinished rollback was going; the last good spec where something else was left; else the one before.

    Raises:
        NotDeployed: there is none.
    """
    attempt = journal.attempt
    if attempt is not None and attempt.action == "rollback" and attempt.spec is not None:
        return attempt.spec
    if attempt is not None and journal.last_good is not None:
        return journal.last_good
    if len(journal.releases) > 1:
        return journal.releases[1].spec
    raise NotDeployed(
        f"endpoint '{endpoint}' has no earlier release to go back to",
        next_step="correct the stack config and run `opsctl deploy-endpoint`, or remove it: `opsctl endpoint delete`",
    )
