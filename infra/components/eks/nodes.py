"""The nodes: a managed group over the zones, or the role of those that Auto Mode starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import sizing
from infra.components.eks.identity import attach
from infra.components.permissions import role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.config.platforms import Eks
    from infra.config.values import Bounds

IMAGES = {"x86_64": "AL2023_x86_64_STANDARD", "arm64": "AL2023_ARM_64_STANDARD"}
MANAGED = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore")
AUTO = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


def node_role(
    name: str, site: Site, config: Eks, parent: pulumi.Resource
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """What a node itself may do: join, pull images; pods have roles of their own. Also gives what it waits for."""
    made = role(
        f"{name}-node",
        description="Nodes of the cluster; no pod acts with it",
        trust=trusted_by(site, "ec2.amazonaws.com"),
        statements=[],
        parent=parent,
    )
    return made, attach(f"{name}-node", made, AUTO if config.mode == "auto" else MANAGED, parent)


@dataclass(frozen=True)
class NodesArgs:
    """What the node group is built from.

    Attributes:
        config: the stack config's section.
        bounds: fewest and most nodes.
        cluster: its name.
        subnet_ids: private subnets, one for each zone.
    """

    config: Eks
    bounds: Bounds
    cluster: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]


class EksNodes(pulumi.ComponentResource):
    """`group` is what pods wait for."""

    group: aws.eks.NodeGroup

    def __init__(
        self,
        name: str,
        site: Site,
        args: NodesArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after` is what a node needs to become ready: its network above all."""
        super().__init__("rag-platform:component:EksNodes", name, None, opts)
        config, nodes = args.config, args.config.nodes
        own, policies = node_role(name, site, config, self)
        template = self._template(name, site, config)
        self.group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=args.cluster,
            node_role_arn=own.arn,
            subnet_ids=list(args.subnet_ids),
            version=config.version,
            ami_type=IMAGES[sizing.architecture_of(nodes.instance_type)],
            instance_types=[nodes.instance_type],
            capacity_type="SPOT" if nodes.capacity == "spot" else "ON_DEMAND",
            scaling_config={
                "min_size": args.bounds.min,
                "max_size": args.bounds.max,
                "desired_size": args.bounds.min,
            },
            update_config={"max_unavailable": 1},
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            labels={"rag-platform/pool": "general"},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*policies, *after],
                ignore_changes=["scalingConfig.desiredSize"],  # the autoscaler's
            ),
        )
        self.register_outputs({"group": self.group.node_group_name})

    def _template(self, name: str, site: Site, config: Eks) -> aws.ec2.LaunchTemplate:
        # no security group: EKS gives the nodes the cluster's own
        return aws.ec2.LaunchTemplate(
            f"{name}-node",
            update_default_version=True,
            # one hop: a pod of its own network never reaches the node's role; the Pod Identity agent is on the host's
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
            monitoring={"enabled": True},
            tag_specifications=[  # default tags reach neither instances nor volumes
                {"resource_type": kind, "tags": {**site.tags, "Name": f"{name}-node"}}
                for kind in ("instance", "volume")
            ],
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_size": config.nodes.disk_gib,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
