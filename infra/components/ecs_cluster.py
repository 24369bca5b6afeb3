"""The ECS cluster and what its tasks run on: Fargate, Fargate Spot with a base on demand, or EC2 instances."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.permissions import role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.config.platforms import Ecs
    from infra.config.workload import Service

ECS_AMI = {
    "x86_64": "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
    "arm64": "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id",
}
INSTANCE_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"


@dataclass(frozen=True)
class ClusterArgs:
    """What the cluster is built from.

    Attributes:
        config: the stack config's section.
        service: the container's size and architecture.
        subnet_ids: private subnets, for EC2 instances.
        instance_group: security group of EC2 instances.
        key_arn: encrypts exec sessions.
        exec_log_group: takes the sessions' log.
    """

    config: Ecs
    service: Service
    subnet_ids: Sequence[pulumi.Input[str]]
    instance_group: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    exec_log_group: pulumi.Input[str]


class EcsCluster(pulumi.ComponentResource):
    """`strategy` is what a service is started with."""

    arn: pulumi.Output[str]
    cluster: pulumi.Output[str]
    strategy: list[dict[str, Any]]
    capacity: pulumi.Resource

    def __init__(self, name: str, site: Site, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:EcsCluster", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        cluster = aws.ecs.Cluster(
            f"{name}-cluster",
            settings=[{"name": "containerInsights", "value": "enabled"}],
            configuration={
                "execute_command_configuration": {
                    "kms_key_id": args.key_arn,
                    "logging": "OVERRIDE",
                    "log_configuration": {
                        "cloud_watch_encryption_enabled": True,
                        "cloud_watch_log_group_name": args.exec_log_group,
                    },
                }
            },
            opts=self._child,
        )
        self.arn, self.cluster = cluster.arn, cluster.name
        providers, self.strategy = self._ec2() if args.config.capacity == "ec2" else self._fargate()
        self.capacity = aws.ecs.ClusterCapacityProviders(
            f"{name}-capacity",
            cluster_name=self.cluster,
            capacity_providers=providers,
            default_capacity_provider_strategies=self.strategy,
            opts=self._child,
        )
        self.register_outputs({"arn": self.arn, "cluster": self.cluster})

    def _fargate(self) -> tuple[list[Any], list[dict[str, Any]]]:
        on_demand = {"capacity_provider": "FARGATE", "base": 1, "weight": 1}
        if self._args.config.capacity == "fargate":
            return ["FARGATE", "FARGATE_SPOT"], [on_demand]
        # the first task is never taken away; of the others three in four run on spare capacity
        spot = {"capacity_provider": "FARGATE_SPOT", "base": 0, "weight": 3}
        return ["FARGATE", "FARGATE_SPOT"], [on_demand, spot]

    def _ec2(self) -> tuple[list[Any], list[dict[str, Any]]]:
        pool = self._instances()
        provider = aws.ecs.CapacityProvider(
            f"{self._name}-pool",
            auto_scaling_group_provider={
                "auto_scaling_group_arn": pool.arn,
                "managed_termination_protection": "ENABLED",
                "managed_draining": "ENABLED",
                "managed_scaling": {"status": "ENABLED", "target_capacity": 100},
            },
            opts=self._child,
        )
        return [provider.name], [{"capacity_provider": provider.name, "base": 0, "weight": 1}]

    def _instances(self) -> aws.autoscaling.Group:
        config = self._args.config
        return aws.autoscaling.Group(
            f"{self._name}-instances",
            min_size=config.instances.min,
            max_size=config.instances.max,
            vpc_zone_identifiers=self._args.subnet_ids,
            health_check_type="EC2",
            force_delete=True,  # holds nothing; protected instances would keep a destroy waiting
            protect_from_scale_in=True,  # ECS decides which instance is empty
            launch_template={"id": self._template().id, "version": "$Latest"},
            tags=[
                {"key": key, "value": value, "propagate_at_launch": True}  # default tags don't reach instances
                for key, value in self._host_tags().items()
            ],
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["desiredCapacity"]),
        )

    def _host_tags(self) -> dict[str, str]:
        return {**self._site.tags, "AmazonECSManaged": "true", "Name": f"{self._name}-task-host"}

    def _template(self) -> aws.ec2.LaunchTemplate:
        config, service = self._args.config, self._args.service
        return aws.ec2.LaunchTemplate(
            f"{self._name}-host",
            image_id=ECS_AMI[service.architecture],
            instance_type=config.instance_type,
            update_default_version=True,
            vpc_security_group_ids=[self._args.instance_group],
            iam_instance_profile={"arn": self._profile().arn},
            metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1, "http_endpoint": "enabled"},
            monitoring={"enabled": True},
            tag_specifications=[  # default tags reach neither instances nor volumes
                {"resource_type": kind, "tags": dict(self._site.tags)} for kind in ("instance", "volume")
            ],
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_size": 40,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            user_data=self.cluster.apply(host_script),
            opts=self._child,
        )

    def _profile(self) -> aws.iam.InstanceProfile:
        host = role(
            f"{self._name}-host",
            description="EC2 instances of the ECS cluster",
            trust=trusted_by(self._site, "ec2.amazonaws.com"),
            statements=[],
            parent=self,
        )
        aws.iam.RolePolicyAttachment(f"{self._name}-host", role=host.name, policy_arn=INSTANCE_POLICY, opts=self._child)
        return aws.iam.InstanceProfile(f"{self._name}-host", role=host.name, opts=self._child)


def host_script(cluster: str) -> str:
    """User data of an instance: which cluster it joins, and no instance credentials for tasks; base64."""
    settings = f"ECS_CLUSTER={cluster}\\nECS_AWSVPC_BLOCK_IMDS=true\\n"
    return base64.b64encode(f"#!/bin/sh\nprintf '{settings}' >> /etc/ecs/ecs.config\n".encode()).decode()
