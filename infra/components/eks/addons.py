"""The add-ons that EKS keeps: network with policies, names, volumes, pod identities, metrics, logs.

Each in the version that EKS has as default for the cluster's own: an upgrade of the cluster moves them with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.eks import fluent_bit
from infra.components.eks.identity import Account, pod_role
from infra.components.permissions import Statement, allow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.components.account import Site

SYSTEM = "kube-system"
WATCHING = "amazon-cloudwatch"


@dataclass(frozen=True)
class Addon:
    """One add-on.

    Attributes:
        name: EKS's.
        account: namespace and service account of the pods that call AWS; None where none does.
        policies: that AWS keeps for it.
        encrypts: whether it uses the stack's key.
        settings: in the add-on's own words.
    """

    name: str
    account: tuple[str, str] | None = None
    policies: tuple[str, ...] = ()
    encrypts: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


NETWORK = {"enableNetworkPolicy": "true"}
# A node is ready once these run on it; each runs on the host's network, so none waits for another.
BEFORE_NODES = (
    Addon("vpc-cni", (SYSTEM, "aws-node"), ("AmazonEKS_CNI_Policy",), settings=NETWORK),
    Addon("kube-proxy"),
    Addon("eks-pod-identity-agent"),
)
# These have pods that need a node.
ON_NODES = (
    Addon("coredns"),
    Addon("metrics-server"),  # without it no autoscaler knows a figure
    Addon(
        "aws-ebs-csi-driver",
        (SYSTEM, "ebs-csi-controller-sa"),
        ("service-role/AmazonEBSCSIDriverPolicy",),
        encrypts=True,
    ),
)


def watching(cluster: str, namespace: str, log_group: str) -> Addon:
    """CloudWatch: the service's lines into its own log group, metrics of nodes and pods."""
    return Addon(
        "amazon-cloudwatch-observability",
        (WATCHING, "cloudwatch-agent"),
        ("CloudWatchAgentServerPolicy",),
        settings={
            "containerLogs": {
                "enabled": True,
                "fluentBit": {
                    "config": {
                        "extraFiles": {"application-log.conf": fluent_bit.applications(cluster, namespace, log_group)}
                    }
                },
            },
            "agent": {"config": {"logs": {"metrics_collected": {"kubernetes": {"enhanced_container_insights": True}}}}},
        },
    )


def volume_key(key_arn: pulumi.Input[str]) -> list[Statement]:
    """Encrypt volumes with the stack's key: EBS is granted the use of it for each."""
    use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom"]
    granted = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [allow([*use, "kms:ReEncryptTo"], [key_arn]), allow(["kms:CreateGrant"], [key_arn], granted)]


@dataclass(frozen=True)
class AddonsArgs:
    """Which add-ons, and where.

    Attributes:
        cluster: its name, once it is there.
        named: the same, known before.
        version: of Kubernetes.
        addons: to install.
        key_arn: encrypts volumes.
    """

    cluster: pulumi.Input[str]
    named: str
    version: str
    addons: Sequence[Addon]
    key_arn: pulumi.Input[str]


class EksAddons(pulumi.ComponentResource):
    """`made` are the add-ons: there once their pods run."""

    made: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        site: Site,
        args: AddonsArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after` is what their pods need."""
        super().__init__("rag-platform:component:EksAddons", name, None, opts)
        self._name, self._site, self._args, self._after = name, site, args, after
        self.made = [self._addon(each) for each in args.addons]
        self.register_outputs({})

    def _addon(self, addon: Addon) -> aws.eks.Addon:
        name = f"{self._name}-{addon.name}"
        version = aws.eks.get_addon_version_output(
            addon_name=addon.name, kubernetes_version=self._args.version, opts=pulumi.InvokeOptions(parent=self)
        )
        return aws.eks.Addon(
            name,
            cluster_name=self._args.cluster,
            addon_name=addon.name,
            addon_version=version.version,
            configuration_values=json.dumps(addon.settings, sort_keys=True) if addon.settings else None,
            pod_identity_associations=self._identity(name, addon),
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._after)),
        )

    def _identity(self, name: str, addon: Addon) -> list[dict[str, pulumi.Input[str]]]:
        if addon.account is None:
            return []
        namespace, account = addon.account
        own = pod_role(
            name,
            self._site,
            Account(self._args.named, namespace, account),
            description=f"The add-on {addon.name}",
            parent=self,
            statements=volume_key(self._args.key_arn) if addon.encrypts else [],
            managed=addon.policies,
        )
        return [{"role_arn": own.arn, "service_account": account}]
