"""Start a job of the service where a stack runs: the stack's outputs say in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from opsctl.errors import NotDeployed
from opsctl.stack import View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsctl.jobs.job import Job
    from opsctl.stack import Delivery


class TaskWords(View):
    """`jobs` of a stack on ECS."""

    cluster: str
    task_definition: str
    container: str
    subnets: tuple[str, ...]
    security_group: str
    command: tuple[str, ...]


class PodWords(View):
    """`jobs` of a stack on Kubernetes."""

    cluster: str
    namespace: str
    deployment: str
    container: str
    pod_label: str
    command: tuple[str, ...]


def start(stack: str, delivery: Delivery, job: str, words: Sequence[str], *, role: str | None = None) -> Job | None:
    """Start `service.jobs.JOB WORDS`; None where the stack has no machine for it, and this one has to do.

    Args:
        stack: its name, for what is said.
        delivery: its outputs.
        job: the last part of the module's name.
        words: its arguments; they hold no secret, which a job reads by its own role.
        role: of the task where it isn't the service's; Kubernetes knows it by the pod.

    Raises:
        NotDeployed, CloudRefused, TimedOut
    """
    told = delivery.jobs or {}
    starter = STARTERS.get(str(told.get("kind")))
    if starter is None:
        return None
    try:
        return starter(delivery, told, job, words, role)
    except ValidationError as exc:
        missing = ", ".join(".".join(map(str, each["loc"])) for each in exc.errors(include_input=False))
        raise NotDeployed(
            f"stack '{stack}' is of an older opsctl: its outputs say no {missing} of jobs",
            next_step=f"bring it up to date: `opsctl deploy --stack {stack}`",
        ) from exc


def _task(delivery: Delivery, told: dict[str, Any], job: str, words: Sequence[str], role: str | None) -> Job:
    from opsctl.aws.tasks import Place, run_task  # noqa: PLC0415 - boto3 is paid by the topology that needs it

    said = TaskWords.model_validate(told)
    service = delivery.cluster.service if delivery.cluster else None
    place = Place(
        delivery.region,
        said.cluster,
        str(service),
        said.task_definition,
        said.container,
        said.subnets,
        said.security_group,
        role,
    )
    return run_task(place, [*_module(said.command, job), *words])


def _pod(delivery: Delivery, told: dict[str, Any], job: str, words: Sequence[str], role: str | None) -> Job:
    del role
    from opsctl.kube.jobs import job_from_deployment  # noqa: PLC0415 - the client is paid by the topology that needs it

    said = PodWords.model_validate(told)
    command = [*_module(said.command, job), *words]
    where = (delivery.region, said.cluster, said.namespace, said.deployment, said.container, said.pod_label)
    return job_from_deployment(*where, command)


def _module(command: Sequence[str], job: str) -> list[str]:
    return [word.replace("{job}", job) for word in command]


STARTERS: dict[str, Callable[[Delivery, dict[str, Any], str, Sequence[str], str | None], Job]] = {
    "ecs-task": _task,
    "kubernetes-job": _pod,
}
