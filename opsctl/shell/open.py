"""A way into a stack's service: one per topology, here and nowhere else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opsctl.errors import NotDeployed, NotUsable
from opsctl.shell.attached import Attached
from opsctl.stack import read_delivery, read_resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opsctl.project import Project
    from opsctl.stack import Delivery

KUBECTL = "install kubectl (kubernetes.io/docs/tasks/tools)"


@contextmanager
def way_into(
    project: Project, stack: str, environ: Mapping[str, str], command: Sequence[str], *, edge: str | None
) -> Iterator[Attached]:
    """What to start so that `command` runs beside the service; `edge` names one of several.

    Raises:
        NotUsable: nothing of the stack takes a shell.
        NotDeployed, StackNotFound, CloudRefused, TimedOut
    """
    delivery = read_delivery(project, stack, environ)
    if delivery.topology == "hybrid":
        yield _edge(project, stack, environ, command, edge)
    elif delivery.topology == "lambda":
        raise NotUsable(
            f"stack '{stack}' is a function, which takes no shell",
            next_step=f"`opsctl logs --stack {stack} --follow`, or `aws lambda invoke`",
        )
    elif delivery.cluster is None or delivery.cluster.service is None:
        raise NotDeployed(f"nothing of stack '{stack}' runs yet", next_step=f"`opsctl deploy --stack {stack}`")
    elif delivery.topology == "ecs":
        yield _task(stack, delivery, command)
    else:
        with _pod(delivery, command) as pod:
            yield pod


def _task(stack: str, delivery: Delivery, command: Sequence[str]) -> Attached:
    from opsctl.aws.shells import open_shell  # noqa: PLC0415 - boto3 is paid by the topology that needs it

    assert delivery.cluster is not None  # noqa: S101 - the caller looked
    container = str((delivery.jobs or {}).get("container"))
    session = open_shell(
        delivery.region,
        delivery.cluster.name,
        str(delivery.cluster.service),
        container,
        command,
        allow=f"`pulumi config set --path ecs.exec true --stack {stack}`, then `opsctl deploy --stack {stack}`",
    )
    name = "AWS_SSM_START_SESSION_RESPONSE"  # the plugin reads what stands under the name that it is given
    return Attached(
        "session-manager-plugin",
        (name, session.region, "StartSession", "", session.request, session.endpoint),
        "install the Session Manager plugin (docs.aws.amazon.com/systems-manager, `session-manager-plugin`)",
        {name: session.response},
    )


@contextmanager
def _pod(delivery: Delivery, command: Sequence[str]) -> Iterator[Attached]:
    from opsctl.kube.session import kubeconfig  # noqa: PLC0415 - the client is paid by the topology that needs it

    assert delivery.cluster is not None  # noqa: S101 - the caller looked
    namespace, _, deployment = str(delivery.cluster.service).partition("/")
    container = str((delivery.jobs or {}).get("container") or deployment)
    terminal = ["-t"] if sys.stdin.isatty() else []
    with kubeconfig(delivery.region, delivery.cluster.name) as (context, told):
        where = [*context, "-n", namespace, "exec", "-i", *terminal, f"deployment/{deployment}", "-c", container]
        yield Attached("kubectl", (*where, "--", *command), KUBECTL, told)


def _edge(
    project: Project, stack: str, environ: Mapping[str, str], command: Sequence[str], wanted: str | None
) -> Attached:
    from opsctl.edge.hosts import edges  # noqa: PLC0415 - the engine's SDK

    found = edges(read_resources(project, stack, environ), wanted)
    if len(found) > 1:
        names = ", ".join(edge.name for edge in found)
        raise NotUsable(f"stack '{stack}' has {len(found)} edges", next_step=f"name one with --edge: {names}")
    program, *words = found[0].inside(command)
    return Attached(program, tuple(words), "install OpenSSH's client")
