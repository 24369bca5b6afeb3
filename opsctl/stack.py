"""What a deployed stack hands to the world: its outputs, read through the Pulumi CLI and parsed once.

The names are the stack-output contract that all topologies share (`infra.delivery`); an absent part is None, so that no
command asks which topology is up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from opsctl.errors import NotDeployed
from opsctl.pulumi_cli import ask_pulumi, up_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.project import Project


class View(BaseModel):
    """A frozen part of the stack outputs; a newer deployment may hand out more than this opsctl knows."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Release(View):
    """What runs: the image by digest, and the revision of whatever carries it."""

    image: str | None = None
    revision: str | None = None


class Logs(View):
    """Where the service's lines go: a log group, or a selector, of the named kind."""

    kind: str
    group: str | None = None
    selector: str | None = None


class Cluster(View):
    """Where the service runs."""

    name: str
    service: str | None = None


class Rollout(View):
    """Who moves a function's requests to a new version bit by bit."""

    application: str
    group: str


class Endpoint(View):
    """What the model endpoint needs from the stack."""

    name: str | None = None
    role_arn: str | None = None
    bucket: str | None = None
    key_arn: str | None = None
    subnets: tuple[str, ...] | None = None
    security_group: str | None = None


class Bundle(View):
    """Where edge bundles are kept."""

    bucket: str
    prefix: str = ""


class Promises(View):
    """What a smoke test holds the service to, besides its contract."""

    collections: tuple[str, ...] = ()
    p95_seconds: float | None = None


class Delivery(View):
    """The stack outputs."""

    topology: str
    url: str | None = None
    health_url: str | None = None
    region: str | None = None
    release: Release | None = None
    logs: Logs | None = None
    dashboard_url: str | None = None
    registry: str | None = None
    secrets: dict[str, str] | None = None
    topics: dict[str, str] | None = None
    jobs: dict[str, object] | None = None
    cluster: Cluster | None = None
    rollout: Rollout | None = None
    endpoint: Endpoint | None = None
    bundle: Bundle | None = None
    promises: Promises | None = None
    cost_tags: dict[str, str] | None = Field(default=None)

    @property
    def source(self) -> str | None:
        """The folder of documents that an edge answers from; None where it is the demo corpus, or no edge."""
        found = (self.jobs or {}).get("source")
        return found if isinstance(found, str) else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where the edges run, as `hybrid.edge.hosts` spells it; empty in other topologies."""
        found = (self.jobs or {}).get("hosts")
        return tuple(map(str, found)) if isinstance(found, list) else ()


def read_delivery(project: Project, stack: str, environ: Mapping[str, str]) -> Delivery:
    """The Delivery of `stack`.

    Raises:
        StackNotFound, NotDeployed, ToolMissing, CloudRefused, TimedOut: each names the command that helps.
    """
    outputs = read_outputs(project, stack, environ)
    if not outputs:
        raise NotDeployed(f"stack '{stack}' has no outputs", next_step=f"deploy it: {up_command(stack)}")
    try:
        return Delivery.model_validate(outputs)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False))
        raise NotDeployed(
            f"the outputs of stack '{stack}' aren't those of this program: {wrong}",
            next_step=f"bring it up to date: {up_command(stack)}",
        ) from exc


def read_outputs(project: Project, stack: str, environ: Mapping[str, str]) -> dict[str, object]:
    """The outputs of `stack` as the engine prints them, secrets withheld."""
    return dict(_asked(project, stack, environ, "output", "--json"))


def read_resources(project: Project, stack: str, environ: Mapping[str, str]) -> list[dict[str, object]]:
    """The resources that the engine believes to be there, secrets encrypted.

    Raises:
        StackNotFound, NotDeployed, ToolMissing, CloudRefused, TimedOut
    """
    deployment = _asked(project, stack, environ, "export").get("deployment") or {}
    found = deployment.get("resources") or []
    if not found:
        raise NotDeployed(f"stack '{stack}' has no resources", next_step=f"deploy it: {up_command(stack)}")
    return list(found)


def _asked(project: Project, stack: str, environ: Mapping[str, str], *words: str) -> dict[str, Any]:
    """What `pulumi stack WORDS` prints."""
    found: dict[str, Any] = json.loads(ask_pulumi(project, stack, environ, "stack", *words))
    return found
