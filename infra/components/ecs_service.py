"""The ECS service: task definition, two roles, rolling deployment that takes itself back, and autoscaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components import container
from infra.components.permissions import Statement, allow, role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.components.ecs_cluster import EcsCluster
    from infra.components.load_balancer import LoadBalancer
    from infra.config.workload import Scaling
    from infra.sizing import FargateSize

SCALE_OUT_COOLDOWN_S = 60
SCALE_IN_COOLDOWN_S = 300
ARCHITECTURES = {"x86_64": "X86_64", "arm64": "ARM64"}


@dataclass(frozen=True)
class RolesArgs:
    """What the two roles of a task may do.

    Attributes:
        images: ARN of the repository.
        secrets: ARNs of the secrets that ECS hands a task when it starts.
        own_secrets: ARNs of those that the service reads itself.
        key_arn: encrypts them.
        log_group_arn: where the container's lines go.
        runtime: what the service itself may do (invoke the model).
        exec_log_group_arn: where sessions are logged; None where no shell may be opened.
    """

    images: pulumi.Input[str]
    secrets: Sequence[pulumi.Input[str]]
    own_secrets: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    runtime: Sequence[Statement]
    exec_log_group_arn: pulumi.Input[str] | None


class TaskRoles(pulumi.ComponentResource):
    """`execution` starts the task (image, secrets, logs); `task` is what the service itself may do."""

    def __init__(self, name: str, site: Site, args: RolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:TaskRoles", name, None, opts)
        trust = trusted_by(site, "ecs-tasks.amazonaws.com")
        self.execution = role(
            f"{name}-start",
            description="ECS starts tasks with it: image, secrets, logs",
            trust=trust,
            statements=[*_start(args), *_read_secrets(args.secrets, args.key_arn)],
            parent=self,
        )
        self.task = role(
            f"{name}-task",
            description="What the service itself may do",
            trust=trust,
            # of secrets the key book alone, again and again; ECS hands over the others when a task starts
            statements=[*args.runtime, *_read_secrets(args.own_secrets, args.key_arn), *_exec(args)],
            parent=self,
        )
        self.register_outputs({"execution": self.execution.arn, "task": self.task.arn})


def _start(args: RolesArgs) -> list[Statement]:
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        allow(["ecr:GetAuthorizationToken"], ["*"]),  # has no resource to name
        allow(pull, [args.images]),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], [pulumi.Output.concat(args.log_group_arn, ":*")]),
    ]


def _read_secrets(secrets: Sequence[pulumi.Input[str]], key_arn: pulumi.Input[str]) -> list[Statement]:
    if not secrets:
        return []
    return [allow(["secretsmanager:GetSecretValue"], secrets), allow(["kms:Decrypt"], [key_arn])]


def _exec(args: RolesArgs) -> list[Statement]:
    if args.exec_log_group_arn is None:
        return []
    channels = ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"]
    write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    return [
        allow([f"ssmmessages:{name}" for name in channels], ["*"]),  # channels have no resource to name
        allow(["logs:DescribeLogGroups"], ["*"]),
        allow(write, [pulumi.Output.concat(args.exec_log_group_arn, ":*")]),
        allow(["kms:Decrypt", "kms:GenerateDataKey"], [args.key_arn]),
    ]


@dataclass(frozen=True)
class ServiceArgs:
    """What the service is built from.

    Attributes:
        cluster: where it runs.
        front: the load balancer before it.
        roles: of its tasks.
        containers: their definitions.
        size: of each task.
        architecture: x86_64 or arm64.
        replicas: fewest and most tasks.
        scaling: the triggers.
        subnet_ids: private subnets.
        security_group_id: of the tasks.
        alarms: names of the alarms on which a deployment is taken back.
        fargate: whether the tasks run on Fargate.
        exec: whether a shell may be opened.
        after: what the tasks need when they start, beside what they are declared with.
    """

    cluster: EcsCluster
    front: LoadBalancer
    roles: TaskRoles
    containers: Sequence[dict[str, Any]]
    size: FargateSize
    architecture: str
    replicas: tuple[int, int]
    scaling: Scaling
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    alarms: Sequence[pulumi.Input[str]]
    fargate: bool
    exec: bool
    after: Sequence[pulumi.Resource]


class EcsService(pulumi.ComponentResource):
    """`service` is its name, `revision` the ARN of the task definition that was asked for."""

    service: pulumi.Output[str]
    revision: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:EcsService", name, None, opts)
        self._name, self._site, self._args = name, site, args
        task = self._task()
        service = self._service(task)
        self.service, self.revision = service.name, task.arn
        self._autoscaling()
        self.register_outputs({"service": self.service, "revision": self.revision})

    def _task(self) -> aws.ecs.TaskDefinition:
        args = self._args
        return aws.ecs.TaskDefinition(
            f"{self._name}-task",
            family=self._name,
            cpu=str(args.size.cpu_units),
            memory=str(args.size.memory_mib),
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE" if args.fargate else "EC2"],
            runtime_platform={
                "operating_system_family": "LINUX",
                "cpu_architecture": ARCHITECTURES[args.architecture],
            },
            execution_role_arn=args.roles.execution.arn,
            task_role_arn=args.roles.task.arn,
            volumes=[{"name": name} for name in container.volumes(args.containers)],
            container_definitions=pulumi.Output.json_dumps(list(args.containers)),
            skip_destroy=self._site.protect,  # a rollback needs the older revisions
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _service(self, task: aws.ecs.TaskDefinition) -> aws.ecs.Service:
        args = self._args
        return aws.ecs.Service(
            f"{self._name}-service",
            cluster=args.cluster.arn,
            task_definition=task.arn,
            desired_count=args.replicas[0],
            capacity_provider_strategies=args.cluster.strategy,
            platform_version="LATEST" if args.fargate else None,
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            deployment_circuit_breaker={"enable": True, "rollback": True},
            alarms={"enable": True, "rollback": True, "alarm_names": args.alarms},
            availability_zone_rebalancing="ENABLED",
            health_check_grace_period_seconds=container.GRACE_S,
            enable_execute_command=args.exec,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            network_configuration={
                "subnets": args.subnet_ids,
                "security_groups": [args.security_group_id],
                "assign_public_ip": False,
            },
            load_balancers=[
                {
                    "target_group_arn": args.front.target_group_arn,
                    "container_name": container.NAME,
                    "container_port": container.PORT,
                }
            ],
            # true would call a deployment that rolled back a success: opsctl gives the verdict, on what runs
            wait_for_steady_state=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.front.listener, args.cluster.capacity, *args.after],
                ignore_changes=["desiredCount"],  # the autoscaler owns it
            ),
        )

    def _autoscaling(self) -> None:
        args = self._args
        target = aws.appautoscaling.Target(
            f"{self._name}-scaling",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", args.cluster.cluster, "/", self.service),
            min_capacity=args.replicas[0],
            max_capacity=args.replicas[1],
            opts=pulumi.ResourceOptions(parent=self),
        )
        requests = pulumi.Output.concat(args.front.arn_suffix, "/", args.front.target_group_suffix)
        self._track(target, "cpu", args.scaling.cpu_percent, "ECSServiceAverageCPUUtilization")
        self._track(target, "memory", args.scaling.memory_percent, "ECSServiceAverageMemoryUtilization")
        self._track(target, "requests", args.scaling.requests_per_minute, "ALBRequestCountPerTarget", requests)
        self._schedule(target)

    def _track(
        self,
        target: aws.appautoscaling.Target,
        what: str,
        value: int,
        metric: str,
        label: pulumi.Input[str] | None = None,
    ) -> None:
        specification: dict[str, pulumi.Input[str]] = {"predefined_metric_type": metric}
        if label is not None:
            specification["resource_label"] = label
        aws.appautoscaling.Policy(
            f"{self._name}-{what}",
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration={
                "predefined_metric_specification": specification,
                "target_value": value,
                "scale_out_cooldown": SCALE_OUT_COOLDOWN_S,
                "scale_in_cooldown": SCALE_IN_COOLDOWN_S,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _schedule(self, target: aws.appautoscaling.Target) -> None:
        schedule = self._args.scaling.schedule
        if schedule is None:
            return
        low, high = self._args.replicas
        moves = {"down": (schedule.down, schedule.min, schedule.min), "up": (schedule.up, low, high)}
        for what, (cron, fewest, most) in moves.items():
            aws.appautoscaling.ScheduledAction(
                f"{self._name}-{what}",
                service_namespace=target.service_namespace,
                scalable_dimension=target.scalable_dimension,
                resource_id=target.resource_id,
                schedule=f"cron({cron})",
                timezone=schedule.timezone,
                scalable_target_action={"min_capacity": fewest, "max_capacity": most},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[target]),
            )
