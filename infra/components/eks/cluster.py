"""The EKS control plane: private, encrypted, logged; who may use it is said by access entries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.eks.addons import volume_key
from infra.components.eks.controller_rights import tagging
from infra.components.eks.identity import attach
from infra.components.permissions import document, role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.config.platforms import Eks

LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
AUTO_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
AUTO_POOLS = ["general-purpose", "system"]


@dataclass(frozen=True)
class ClusterArgs:
    """What the control plane is built from.

    Attributes:
        config: the stack config's section.
        subnet_ids: private subnets, for its network interfaces.
        key_arn: encrypts Kubernetes secrets and the log.
        log_retention_days: of the control plane's log.
        node_role_arn: of the nodes that Auto Mode starts; None where nodes are managed here.
    """

    config: Eks
    subnet_ids: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    log_retention_days: int
    node_role_arn: pulumi.Input[str] | None = None


class EksCluster(pulumi.ComponentResource):
    """The cluster.

    Attributes:
        name: chosen here, so that its log group is there before it.
        cluster: the same name, known once the cluster is there.
        security_group_id: of its nodes and pods.
        kubeconfig: asks AWS for a token at each use; holds none.
        ready: what whoever uses the cluster waits for.
    """

    name: str
    cluster: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        site: Site,
        args: ClusterArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after` is what EKS itself needs to start the nodes of Auto Mode."""
        super().__init__("rag-platform:component:EksCluster", name, None, opts)
        self.name = cluster_name(site)
        self._name, self._args, self._after = name, args, after
        self._child = pulumi.ResourceOptions(parent=self)
        made = self._cluster(site)
        self.cluster, self.ready = made.name, [made, *self._admins(made)]
        self.security_group_id = made.vpc_config.cluster_security_group_id
        self.kubeconfig = pulumi.Output.all(made.name, made.endpoint, made.certificate_authority).apply(
            lambda known: kubeconfig(site.region, known[0], known[1], known[2]["data"])
        )
        self.register_outputs({"cluster": self.cluster})

    def _cluster(self, site: Site) -> aws.eks.Cluster:
        config, args = self._args.config, self._args
        log = aws.cloudwatch.LogGroup(  # EKS would make it, without a key and for ever
            f"{self._name}-control-plane",
            name=f"/aws/eks/{self.name}/cluster",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.key_arn,
            opts=self._child,
        )
        own = self._role(site)
        policies = attach(f"{self._name}-cluster", own, self._policies(), self)
        return aws.eks.Cluster(
            f"{self._name}-cluster",
            name=self.name,
            version=config.version,
            role_arn=own.arn,
            upgrade_policy={"support_type": "STANDARD"},  # extended support costs six times as much
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
            bootstrap_self_managed_addons=False,
            enabled_cluster_log_types=LOGS,
            encryption_config={"provider": {"key_arn": args.key_arn}, "resources": ["secrets"]},
            vpc_config={
                "subnet_ids": list(args.subnet_ids),
                "endpoint_private_access": True,
                "endpoint_public_access": bool(config.endpoint_public_cidrs),
                **({"public_access_cidrs": list(config.endpoint_public_cidrs)} if config.endpoint_public_cidrs else {}),
            },
            kubernetes_network_config={
                "service_ipv4_cidr": config.service_cidr,
                "elastic_load_balancing": {"enabled": self._auto},
            },
            compute_config=self._compute(),
            storage_config={"block_storage": {"enabled": self._auto}},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log, *policies, *self._after]),
        )

    @property
    def _auto(self) -> bool:
        return self._args.config.mode == "auto"

    def _compute(self) -> dict[str, Any]:
        if not self._auto:
            return {"enabled": False}
        return {"enabled": True, "node_pools": AUTO_POOLS, "node_role_arn": self._args.node_role_arn}

    def _policies(self) -> tuple[str, ...]:
        return ("AmazonEKSClusterPolicy", *(AUTO_POLICIES if self._auto else ()))

    def _role(self, site: Site) -> aws.iam.Role:
        actions = ["sts:AssumeRole", *(["sts:TagSession"] if self._auto else [])]
        trusted = {
            "Effect": "Allow",
            "Principal": {"Service": "eks.amazonaws.com"},
            "Action": actions,
            "Condition": {"StringEquals": {"aws:SourceAccount": site.account}},
        }
        return role(
            f"{self._name}-cluster",
            description="What EKS does for the cluster",
            trust=document(trusted),
            # in Auto Mode the driver of volumes and the load balancers are EKS's own
            statements=[*volume_key(self._args.key_arn), *tagging(site, self.name)] if self._auto else [],
            parent=self,
        )

    def _admins(self, cluster: aws.eks.Cluster) -> list[pulumi.Resource]:
        """Who else may do anything in the cluster; whoever builds the stack may."""
        made: list[pulumi.Resource] = []
        for principal in self._args.config.admins:
            name = f"{self._name}-admin-{principal.rpartition('/')[2]}"
            entry = aws.eks.AccessEntry(name, cluster_name=cluster.name, principal_arn=principal, opts=self._child)
            policy = aws.eks.AccessPolicyAssociation(
                name,
                cluster_name=cluster.name,
                principal_arn=entry.principal_arn,
                policy_arn=ADMIN,
                access_scope={"type": "cluster"},
                opts=self._child,
            )
            made.append(policy)
        return made


def cluster_name(site: Site) -> str:
    """Of the stack's cluster, known before it is there."""
    return f"rag-{site.stack}"


def kubeconfig(region: str, name: str, endpoint: str, authority: str) -> str:
    """How a client reaches the cluster, as JSON: the token comes from `aws eks get-token` at each use."""
    words = ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": words}}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
