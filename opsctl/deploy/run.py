"""A deployment: preflight, preview, consent, up, the platform's verdict, the smoke test; each after the one before.

Where verdict or smoke test fail, the image of the release before is deployed the same way, and proved.

It asks no questions itself and prints no data: consent is a function that it is given, the report is its result.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypedDict

from opsctl.deploy.engine import open_engine
from opsctl.deploy.interruption import half_done
from opsctl.deploy.outcome import Report
from opsctl.deploy.progress import update_progress
from opsctl.deploy.record import came_to, good_images, write_down
from opsctl.deploy.running import FINDERS, mover_of, settle
from opsctl.edge.near import near
from opsctl.errors import CheckFailed, CloudRefused, NotUsable, OpsctlError, RolledBack
from opsctl.output import working
from opsctl.preflight.check import refuse_failed
from opsctl.project import forget_salt
from opsctl.smoke.golden import questions_for
from opsctl.smoke.run import smoke
from opsctl.smoke.target import answers_demo, target_of
from opsctl.stack import Release, read_delivery
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from opsctl.deploy.engine import Changes, Engine
    from opsctl.deploy.price import Price
    from opsctl.project import Project
    from opsctl.settings import Settings
    from opsctl.stack import Delivery

FIRST_ANSWER_S = 180.0  # a new load balancer's name takes a minute or two to resolve
FAILED = "failed"  # the engine's word
EDGES = "leave --image out; `opsctl edge update` brings a new index, docs/operations.md a new release of an edge"
SETTLING_S = 60.0  # tasks of the release before still end, and the balancer notices a little later


class Options(TypedDict):
    """What `deploy` and `rollback` are both told on the command line.

    Keys:
        url: where the smoke test asks, instead of the stack's own address.
        settle_limit_s: seconds that the rollout may take.
        limit_s: seconds that one request of the smoke test may take.
    """

    stack: str
    smoke_test: bool
    url: str | None
    golden: Path | None
    settle_limit_s: float
    limit_s: float


class Caution(TypedDict):
    """What `deploy` does besides, unless it is told not to.

    Keys:
        preflight: look for what would stop it before anything is changed.
        go_back: deploy the image before where what was asked for is not what runs, or fails the smoke test.
    """

    preflight: bool
    go_back: bool


HURRIED = Caution(preflight=False, go_back=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One run of it.

    Attributes:
        consent: is given the changes before they are made, and raises to refuse them.
        hurried: whether it is a way back, which no pace of the stack holds up.
        caution: what is done besides.
    """

    project: Project
    options: Options
    settings: Settings
    talk: Console
    consent: Callable[[Changes, Price | None], None]
    hurried: bool = False
    caution: Caution = field(default_factory=lambda: HURRIED)

    @property
    def stack(self) -> str:
        """The stack that is changed."""
        return self.options["stack"]

    def run(self, image: str | None) -> Report:
        """Bring the stack to what its config says and prove it; `image` is written into the config first.

        What does not hold is the report's `error`.
        """
        report = Report(self.stack)
        try:
            engine = open_engine(self.project, self.stack, self.settings.environ)
            if image is not None and engine.topology() == "hybrid":
                raise NotUsable("a hybrid runs no image, its edges run what is installed", next_step=EDGES)
            before = next(iter(good_images(engine)), None) if self.caution["go_back"] else None
            try:
                self._forward(engine, image, report)
            except (RolledBack, CheckFailed) as failure:
                if any(check.status == "failed" for check in report.checks):
                    raise
                self._write_down(engine, came_to(report, failure))
                if before is None or before == engine.image():
                    raise
                raise self._gone_back(before, failure, report) from failure
            self._write_down(engine, came_to(report, None))
        except OpsctlError as exc:
            report.error = exc
        finally:
            forget_salt(self.project, self.stack)
        return report

    def _forward(self, engine: Engine, image: str | None, report: Report) -> None:
        if (left := half_done(engine)) is not None:
            self.talk.print(left)
        report.changes = self._update(engine, image, report)
        delivery = read_delivery(self.project, self.stack, self.settings.environ)
        report.topology, report.wanted = delivery.topology, delivery.release
        if _runs_nothing(delivery):
            self.talk.print("the first phase is built, nothing runs yet; next: `opsctl image push`, then deploy again")
            return
        with near(delivery) as reached:
            self._prove(engine, reached, report)
            if report.running is not None and report.running.paused:
                self.talk.print(f"the stack is paused and answers nobody; next: `opsctl resume --stack {self.stack}`")
            elif self.options["smoke_test"]:
                self._smoke(engine, reached, report)

    def _write_down(self, engine: Engine, word: str | None) -> None:
        try:
            if word is not None:
                write_down(engine, word)
        except CloudRefused as exc:  # what runs is no other for it
            self.talk.print(f"what this release came to could not be written down: {exc.problem}")

    def _gone_back(self, image: str, failure: OpsctlError, report: Report) -> RolledBack:
        """Deploy the image before and prove it; returns what this deployment came to."""
        self.talk.print(f"{failure.problem}; going back to {image}")
        way = replace(self, consent=lambda *_: None, hurried=True, caution=HURRIED)
        report.way_back = back = way.run(image)
        if back.error is None:
            return RolledBack(
                f"{failure.problem}; stack '{self.stack}' went back to {image}, which runs",
                next_step="deploy a corrected image",
            )
        return RolledBack(
            f"{failure.problem}; and the way back to {image} failed: {back.error.problem}",
            next_step=back.error.next_step,
        )

    def _update(self, engine: Engine, image: str | None, report: Report) -> Changes:
        refresh = self._has_to_look(engine)
        planned = self._planned(engine, image, report, refresh=refresh)
        if not planned:
            self.talk.print("nothing to change")
            return {}
        try:
            with update_progress(self.talk, sum(planned.values())) as tell:
                return engine.up(tell, refresh=refresh)
        except CloudRefused as refusal:
            raise self._explained(engine, refusal) from refusal

    def _has_to_look(self, engine: Engine) -> bool:
        """After an update that failed: of what failed half-way the state may say that it was done."""
        last = next(iter(engine.updates(1)), None)
        if last is None or last.result != FAILED:
            return False
        self.talk.print("the last update failed: what is there is read again first")
        return True

    def _planned(self, engine: Engine, image: str | None, report: Report, *, refresh: bool) -> Changes:
        """What will be changed, consented to; a refusal leaves the stack config as it was."""
        before = engine.image()
        try:
            if image is not None:
                engine.set_image(image)
            if self.caution["preflight"]:
                self._preflight(engine, report)
            with working(self.talk, f"previewing stack {self.stack} ..."):
                planned = engine.preview(refresh=refresh)
            if planned:
                self.consent(planned, report.price)
        except BaseException:
            if image is not None:
                engine.set_image(before)
            raise
        return planned

    def _preflight(self, engine: Engine, report: Report) -> None:
        from opsctl.deploy.price import price  # noqa: PLC0415 - Pulumi and its AWS modules: help must not wait for them
        from opsctl.preflight.judge import judge  # noqa: PLC0415
        from opsctl.preflight.observe import Observer  # noqa: PLC0415

        cfg = read_stack_config(self.project, self.stack)
        with working(self.talk, f"checking stack {self.stack} ..."):
            report.checks = judge(cfg, Observer(self.project, cfg, self.settings.environ).facts())
            last = next((update for update in engine.updates() if update.succeeded), None)
            report.price = price(cfg.stack, last.config if last else None, cfg)
        for check in report.checks:
            if check.status != "ok":
                self.talk.print(
                    f"{check.name}: {check.status}: {check.evidence}" + (f"; {check.fix}" if check.fix else "")
                )
        refuse_failed(report.checks)

    def _explained(self, engine: Engine, refusal: CloudRefused) -> OpsctlError:
        """A failed update whose cause is a rollout that the platform gave up is a rollback."""
        try:
            delivery = read_delivery(self.project, self.stack, self.settings.environ)
            running = FINDERS[delivery.topology](delivery)
        except (OpsctlError, KeyError):
            return refusal  # what runs can't be told: the engine's word is all there is
        if running.reason is None or engine.image() in running.images:
            return refusal
        return self._rolled_back(engine, f"{running.reason}; {refusal.problem}")

    def _prove(self, engine: Engine, delivery: Delivery, report: Report) -> None:
        wanted = delivery.release or Release()
        self._move(delivery, wanted)
        with working(self.talk, "waiting for the rollout to settle ..."):
            report.running, report.verdict = settle(delivery, wanted, limit_s=self.options["settle_limit_s"])
        if report.verdict.status != "running":
            raise self._rolled_back(engine, report.verdict.why)

    def _move(self, delivery: Delivery, wanted: Release) -> None:
        """Start what the engine leaves to somebody else: the requests' move to a new version."""
        if delivery.rollout is None or wanted.revision is None:
            return
        mover = mover_of(delivery)
        version = wanted.revision.rpartition(":")[2]
        step = mover.move(version, hurried=self.hurried, limit_s=self.options["settle_limit_s"])
        if step != "nothing":
            self.talk.print(f"the requests move to version {version} of {mover.function}")

    def _smoke(self, engine: Engine, delivery: Delivery, report: Report) -> None:
        questions = questions_for(self.options["golden"], demo=answers_demo(self.stack, delivery))
        release = delivery.release or Release()
        target = target_of(
            self.project,
            self.stack,
            delivery,
            self.settings,
            url=self.options["url"],
            release=release.image or release.revision,
        )
        report.smoke = asyncio.run(
            smoke(
                target,
                questions,
                limit_s=self.options["limit_s"],
                talk=self.talk,
                first_answer_s=FIRST_ANSWER_S,
                patience_s=SETTLING_S,
            )
        )
        if report.smoke.failed:
            raise CheckFailed(
                f"the smoke test of stack '{self.stack}' fails: {', '.join(report.smoke.failed)}",
                next_step=f"correct it{self._or_back(engine)}",
            )

    def _rolled_back(self, engine: Engine, why: str) -> RolledBack:
        return RolledBack(
            f"stack '{self.stack}' doesn't run what was asked for: {why}",
            next_step=f"deploy a corrected image{self._or_back(engine)}",
        )

    def _or_back(self, engine: Engine) -> str:
        """The way back, as the end of a next step; a first deployment has none."""
        if any(image != engine.image() for image in good_images(engine)):
            return f", or run `opsctl rollback --stack {self.stack}`"
        return "; there is no earlier image to go back to"


def _runs_nothing(delivery: Delivery) -> bool:
    return delivery.topology != "hybrid" and (delivery.release is None or delivery.release.image is None)
