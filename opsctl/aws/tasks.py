"""A task that runs once, beside an ECS service and with its definition, network and capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsctl.aws.logs import LogGroup
from opsctl.aws.session import client, translated
from opsctl.errors import CloudRefused
from opsctl.jobs.job import Ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsctl.follow import Source

STARTED_BY = "opsctl"
FARGATE = {"FARGATE", "FARGATE_SPOT"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as what the task runs.

    Attributes:
        service: whose capacity it takes.
        task_definition: ARN.
        container: of the definition, which runs something else this time.
        role: of the task; None is the definition's own.
    """

    region: str | None
    cluster: str
    service: str
    task_definition: str
    container: str
    subnets: tuple[str, ...]
    security_group: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class TaskJob:
    """Port `opsctl.jobs.job.Job` over one task."""

    place: Place
    arn: str
    lines: Source

    @property
    def name(self) -> str:
        """As ECS's pages call it."""
        return f"task {self.arn.rpartition('/')[2]}"

    @property
    def again(self) -> str:
        """Stops it."""
        return f"`aws ecs stop-task --cluster {self.place.cluster} --task {self.arn.rpartition('/')[2]}` ends it"

    def ended(self) -> Ended | None:
        """How the container ended; None while the task runs.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(self.name):
            found = client("ecs", self.place.region).describe_tasks(cluster=self.place.cluster, tasks=[self.arn])
        if not found["tasks"]:
            return Ended(None, "ECS knows it no more")
        task = found["tasks"][0]
        if task["lastStatus"] != "STOPPED":
            return None
        container: Mapping[str, Any] = next(
            (each for each in task.get("containers", ()) if each["name"] == self.place.container), {}
        )
        return Ended(container.get("exitCode"), container.get("reason") or task.get("stoppedReason"))


def run_task(place: Place, command: Sequence[str]) -> TaskJob:
    """Start `command` in the place of what the container runs otherwise.

    Raises:
        CloudRefused, TimedOut
    """
    override: dict[str, Any] = {"containerOverrides": [{"name": place.container, "command": list(command)}]}
    override |= {"taskRoleArn": place.role} if place.role else {}
    with translated(f"a task beside service '{place.service}'", to="start"):
        ecs = client("ecs", place.region)
        services = ecs.describe_services(cluster=place.cluster, services=[place.service])["services"]
        capacity = _capacity(services[0] if services else {})
        started = ecs.run_task(
            cluster=place.cluster,
            taskDefinition=place.task_definition,
            count=1,
            startedBy=STARTED_BY,
            propagateTags="TASK_DEFINITION",
            networkConfiguration={
                "awsvpcConfiguration": {
                    "subnets": list(place.subnets),
                    "securityGroups": [place.security_group],
                    "assignPublicIp": "DISABLED",
                }
            },
            overrides=override,
            **capacity,
        )
        made = ecs.describe_task_definition(taskDefinition=place.task_definition)["taskDefinition"]
    if not started["tasks"]:
        reasons = "; ".join(str(each.get("reason")) for each in started.get("failures", ()))
        raise CloudRefused(f"ECS started no task: {reasons}", next_step="run the same command again")
    arn = str(started["tasks"][0]["taskArn"])
    return TaskJob(place, arn, _lines(place, made, arn))


def _capacity(service: Mapping[str, Any]) -> dict[str, Any]:
    """That of the service; on Fargate the kind that is not taken away half-way."""
    strategy = service.get("capacityProviderStrategy") or ()
    if {each["capacityProvider"] for each in strategy} <= FARGATE:
        return {"launchType": "FARGATE"} if strategy else {}
    return {"capacityProviderStrategy": list(strategy)}


def _lines(place: Place, made: Mapping[str, Any], arn: str) -> Source:
    container = next(each for each in made["containerDefinitions"] if each["name"] == place.container)
    told = container["logConfiguration"]["options"]
    stream = f"{told['awslogs-stream-prefix']}/{place.container}/{arn.rpartition('/')[2]}"
    return LogGroup(place.region, told["awslogs-group"], stream)
