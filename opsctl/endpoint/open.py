"""From a stack's name to a run on its endpoint: config, outputs, cloud, journal and watch, put together here only."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opsctl.endpoint.build import endpoint_spec, ownership
from opsctl.endpoint.chat_template import template_environment
from opsctl.endpoint.consent import ask
from opsctl.endpoint.holder import is_gone, this_process
from opsctl.endpoint.images import image_for
from opsctl.endpoint.lock import Lock
from opsctl.endpoint.model_card import known_card
from opsctl.endpoint.names import Names
from opsctl.endpoint.progress import watching
from opsctl.endpoint.run import EndpointRun, Options
from opsctl.endpoint.spec import BucketModel
from opsctl.errors import NotDeployed, NotUsable
from opsctl.stack import Delivery, read_delivery
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from infra.config import StackConfig
    from opsctl.endpoint.model_card import ModelCard
    from opsctl.endpoint.run import Report
    from opsctl.endpoint.spec import EndpointSpec
    from opsctl.project import Project


@dataclass(frozen=True, slots=True)
class StackTarget:
    """A stack whose endpoint is worked on: what it is meant to be, and what it has."""

    cfg: StackConfig
    delivery: Delivery

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.cfg.stack

    @property
    def region(self) -> str:
        """Where its endpoint is.

        Raises:
            NotDeployed
        """
        found = self.delivery.region or self.cfg.region
        if found is None:
            raise NotDeployed(f"stack '{self.stack}' has no region", next_step="set aws:region")
        return found

    @property
    def bucket(self) -> str:
        """What keeps its journal.

        Raises:
            NotDeployed
        """
        given = self.delivery.endpoint
        if given is None or given.bucket is None:
            raise NotDeployed(
                f"stack '{self.stack}' has no bucket for an endpoint yet",
                next_step=f"build it: `pulumi up --stack {self.stack}`",
            )
        return given.bucket

    def spec(self, name: str | None, image_uri: str | None) -> EndpointSpec:
        """The endpoint that the config asks for; `name`, if given, must be its name.

        Args:
            name: of the endpoint.
            image_uri: of the model server; None takes AWS's own.

        Raises:
            NotUsable, NotDeployed
        """
        asked = self.cfg.generation.endpoint
        if name not in {None, asked}:
            raise NotUsable(
                f"the endpoint of stack '{self.stack}' is '{asked}', not '{name}'",
                next_step=f"leave the name out, or `pulumi config set --path generation.endpoint {name}`",
            )
        asking, card = self.cfg.generation, self._card()
        image = image_for(asking.engine, self.region, asking.instance_type, image_uri)
        copy = card.copy if card else None
        source = BucketModel(copy.model, f"s3://{self.bucket}/{copy.prefix}") if copy else None
        environment = template_environment(asking.engine, has_template=card.has_template if card else None)
        return replace(endpoint_spec(self.cfg, self.delivery, image.uri, source), environment=environment)

    def _card(self) -> ModelCard | None:
        """What the stack's bucket, or a table, knows of the model; the hub isn't asked for every run."""
        given, model = self.delivery.endpoint, self.cfg.generation.model
        if model is None or given is None or given.bucket is None:
            return None  # what is missing is said by whoever builds the spec
        from opsctl.aws.weights import WeightsBucket  # noqa: PLC0415 - boto3 is paid when it is needed

        return known_card(model, WeightsBucket.open(given.bucket, self.region))


def open_stack(project: Project, stack: str, environ: Mapping[str, str]) -> StackTarget:
    """Read the stack's config and outputs.

    Raises:
        StackNotFound, NotUsable, NotDeployed, CloudRefused, TimedOut
    """
    return StackTarget(read_stack_config(project, stack), read_delivery(project, stack, environ))


@contextmanager
def opened(
    target: StackTarget,
    endpoint: str,
    options: Options,
    talk: Console,
    *,
    yes: bool,
    preflight: Callable[[], None] | None = None,
) -> Iterator[EndpointRun]:
    """A run on the stack's endpoint of that name; `preflight` comes before the question."""
    from opsctl.aws.documents import BucketDocument  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.aws.endpoint import SageMakerCloud  # noqa: PLC0415

    names = Names(endpoint)
    document = BucketDocument.open(target.region, target.bucket, names.journal_key)
    agreed = ask(talk, yes=yes, preflight=preflight)
    with watching(talk) as watch:

        def consent(report: Report) -> None:
            with watch.quiet():
                agreed(report)

        yield EndpointRun(
            stack=target.stack,
            names=names,
            cloud=SageMakerCloud.open(target.region, target.stack, ownership(target.stack, endpoint, target.delivery)),
            lock=Lock(document, document.where, this_process(), is_gone),
            watch=watch,
            consent=consent,
            options=options,
        )
