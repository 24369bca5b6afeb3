"""The steps of a new stack: engine's stack, first phase, secrets, image, model endpoint, second phase with its proof.

Each asks the stack itself whether it is done; nothing but the stack remembers how far it is.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsctl.bootstrap.walk import Step
from opsctl.credentials import vendors
from opsctl.credentials.config_file import ConfigFile
from opsctl.deploy.consent import ask
from opsctl.deploy.engine import make_stack, open_engine
from opsctl.deploy.run import Caution, Deployment
from opsctl.errors import NotDeployed, NotUsable, StackNotFound
from opsctl.image.build import Wanted, build
from opsctl.image.pins import ADAPTER, BASE
from opsctl.image.push import push
from opsctl.stack import read_delivery
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    import datetime as dt

    from rich.console import Console

    from infra.config import StackConfig
    from opsctl.deploy.engine import Engine
    from opsctl.deploy.run import Options
    from opsctl.project import Project
    from opsctl.settings import Settings
    from opsctl.stack import Delivery

BUILT = "rag-platform:latest"
ARCHIVE = Path("dist/lambda.zip")
IN_SERVICE = "InService"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A stack that is brought up for the first time.

    Attributes:
        source: a local image to push; None builds one from this checkout.
        yes: whether consent is given for all steps at once.
        preflight: whether both deployments look first for what would stop them.
    """

    project: Project
    options: Options
    settings: Settings
    talk: Console
    source: str | None
    yes: bool
    preflight: bool

    def steps(self) -> list[Step]:
        """Those of the stack's topology, in order.

        Raises:
            StackNotFound, NotUsable: the stack file is missing, or wrong.
        """
        cfg = self._cfg()
        found = [Step("stack", self._is_made, self._make), Step("first phase", self._is_up, self._first)]
        if cfg.topology != "hybrid":
            found.append(Step("secrets", self._has_secrets, self._ask_for_secrets))
            found.append(Step("image", self._has_code, self._bring_code))
        if "sagemaker" in {cfg.generation.provider, cfg.hybrid.fallback.kind if cfg.topology == "hybrid" else None}:
            found.append(Step("model endpoint", self._has_model, self._deploy_model))
        return [*found, Step("second phase, proved", lambda: None, self._second)]

    @property
    def stack(self) -> str:
        """Its name."""
        return self.options["stack"]

    def _cfg(self) -> StackConfig:
        return read_stack_config(self.project, self.stack)

    def _engine(self) -> Engine:
        return open_engine(self.project, self.stack, self.settings.environ)

    def _delivery(self) -> Delivery:
        return read_delivery(self.project, self.stack, self.settings.environ)

    def _is_made(self) -> str | None:
        try:
            self._engine()
        except StackNotFound:
            return None
        return "the backend knows it"

    def _make(self) -> str:
        make_stack(self.project, self.stack, self.settings.environ)
        return "made"

    def _is_up(self) -> str | None:
        try:
            return f"its outputs are there, topology {self._delivery().topology}"
        except NotDeployed:
            return None

    def _first(self) -> str:
        return self._deployed({**self.options, "smoke_test": False})

    def _second(self) -> str:
        return self._deployed(self.options)

    def _deployed(self, options: Options) -> str:
        caution = Caution(preflight=self.preflight, go_back=False)
        consent = ask(self.talk, self.stack, yes=self.yes)
        run = Deployment(self.project, options, self.settings, self.talk, consent, caution=caution)
        report = run.run(None)
        if report.error is not None:
            raise report.error
        made = sum(report.changes.values())
        told = [f"{made} resources", *([report.verdict.why] if report.verdict else [])]
        return ", ".join([*told, *(["a real question was answered"] if report.smoke else [])])

    def _missing(self) -> list[str]:
        delivery = self._delivery()

        def changed(arn: str) -> dt.datetime | None:
            from opsctl.aws.secret_dates import changed_at  # noqa: PLC0415 - boto3 is paid when it is needed

            return changed_at(delivery.region, arn)

        kept = vendors.listed(self._cfg(), delivery, changed)
        return [each.name for each in kept if each.given is False and each.changed is None]

    def _has_secrets(self) -> str | None:
        return None if self._missing() else "each has a value"

    def _ask_for_secrets(self) -> str:
        missing = self._missing()
        if not sys.stdin.isatty():
            raise NotUsable(
                f"no value of {', '.join(missing)}, and no terminal to ask on",
                next_step="; ".join(f"`opsctl secrets set {each} --stack {self.stack} < FILE`" for each in missing)
                + ", then the same command again",
            )
        file = ConfigFile(self.project, self.stack, self.settings.environ)
        for each in missing:
            vendors.set_value(file, each, click.prompt(each, hide_input=True, err=True))
        return f"{len(missing)} asked for, encrypted in the config"

    def _has_code(self) -> str | None:
        cfg = self._cfg()
        zipped = cfg.topology == "lambda" and cfg.lambda_.packaging == "zip"
        return cfg.lambda_.artifact if zipped else cfg.service.image

    def _bring_code(self) -> str:
        cfg = self._cfg()
        if cfg.topology == "lambda" and cfg.lambda_.packaging == "zip":
            build(self.project, replace(_wanted("none"), archive=ARCHIVE), self.settings, self.talk)
            self._engine().set_value("lambda.artifact", str(ARCHIVE))
            return str(ARCHIVE)
        if self.source is None:
            build(self.project, _wanted(cfg.retrieval.reranker), self.settings, self.talk)
        return push(self.project, self.stack, self.source or BUILT, self.settings.environ, self.talk)

    def _has_model(self) -> str | None:
        from opsctl.aws.limits import endpoint_state  # noqa: PLC0415 - boto3 is paid when it is needed

        name = self._cfg().generation.endpoint
        state = endpoint_state(str(self._delivery().region), str(name))
        return f"'{name}' is in service" if state == IN_SERVICE else None

    def _deploy_model(self) -> str:
        from opsctl.endpoint.open import open_stack, opened  # noqa: PLC0415 - boto3 is paid when it is needed
        from opsctl.endpoint.preflight.run import Preflight  # noqa: PLC0415
        from opsctl.endpoint.run import Options as Pace  # noqa: PLC0415

        target = open_stack(self.project, self.stack, self.settings.environ)
        spec = target.spec(None, None)
        checks = Preflight(spec, target.bucket, self.settings.hub, "all-at-once", self.talk)
        hold = checks.hold if self.preflight else None
        with opened(target, spec.endpoint, Pace(), self.talk, yes=self.yes, preflight=hold) as run:
            report = run.deploy(spec)
        if report.error is not None:
            raise report.error
        return f"'{spec.endpoint}', {len(report.steps)} steps"


def _wanted(reranker: str) -> Wanted:
    """What `opsctl image build` builds where nothing is said; the list of components is its own command's."""
    return Wanted(
        tag=BUILT,
        platform=None,
        base=BASE,
        adapter=ADAPTER,
        reranker=reranker,
        reranker_file="onnx/model.onnx",
        reranker_sha256=None,
        ca_bundle=None,
        offline=False,
        archive=None,
        sbom=None,
    )
