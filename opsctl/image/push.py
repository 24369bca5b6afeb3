"""From a local image to a digest in the stack config: log in, push under a new tag, write what the registry says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.config.defaults import environment_of
from opsctl.deploy.engine import open_engine
from opsctl.errors import NotDeployed, NotUsable
from opsctl.image.build import REVISION
from opsctl.image.tool import tool_with
from opsctl.image.tree import DIRTY, changed_files
from opsctl.output import working
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from opsctl.project import Project

ECR = ".dkr.ecr."


def push(project: Project, stack: str, image: str, environ: Mapping[str, str], talk: Console) -> str:
    """Push a local image to the stack's registry, write its digest into the stack config, and return the reference.

    Raises:
        NotUsable: a production stack and a tree with changes that no commit holds, or no such image.
        NotDeployed: the stack has no registry yet.
        ToolMissing, CloudRefused, TimedOut
    """
    production = environment_of(stack) == "production"
    if production:
        _refuse_dirty(project, stack)
    tool = tool_with(image, environ)
    if production and tool.labels(image).get(REVISION, "").endswith(DIRTY):
        raise NotUsable(
            f"{image} was built from a tree that no commit holds, and '{stack}' is a production stack",
            next_step="commit, and build it again: `opsctl image build`",
        )
    delivery = read_delivery(project, stack, environ)
    if delivery.registry is None:
        raise NotDeployed(
            f"stack '{stack}' has no registry yet", next_step=f"build it: `opsctl deploy --stack {stack}`"
        )
    host = delivery.registry.partition("/")[0]
    if ECR in host:
        from opsctl.aws import registry_login  # noqa: PLC0415 - boto3 is paid by the registry that needs it

        login = registry_login(delivery.region)
        tool.login(host, login.user, login.password)
    # Tags can't be overwritten in the registry, and nothing reads them: what is deployed is the digest.
    target = f"{delivery.registry}:{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with working(talk, f"pushing {image} as {target} ..."):
        reference = f"{delivery.registry}@{tool.push(image, target)}"
    open_engine(project, stack, environ).set_image(reference)
    return reference


def _refuse_dirty(project: Project, stack: str) -> None:
    if changed := changed_files(project):
        raise NotUsable(
            f"{len(changed)} files differ from the last commit, and '{stack}' is a production stack",
            next_step="commit or stash them, and build the image again",
        )
