"""What runs in the cluster for the cluster, by Helm: AWS Load Balancer Controller and Cluster Autoscaler.

Neither is an add-on of EKS. Versions are pinned: an upgrade is a change of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi_kubernetes.helm.v3 import Release

from infra.components.eks import controller_rights
from infra.components.eks.identity import Account, bind, pod_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.components.account import Site
    from infra.components.permissions import Statement

SYSTEM = "kube-system"


@dataclass(frozen=True)
class Chart:
    """A chart in the version that was tried."""

    name: str
    repository: str
    version: str


BALANCER = Chart("aws-load-balancer-controller", "https://aws.github.io/eks-charts", "3.4.0")
AUTOSCALER = Chart("cluster-autoscaler", "https://kubernetes.github.io/autoscaler", "9.54.1")
PATIENCE_S = 600


@dataclass(frozen=True)
class ControllersArgs:
    """What they are built from.

    Attributes:
        cluster: its name, once it is there.
        named: the same, known before.
        version: of Kubernetes; the autoscaler's image has the same.
        vpc_id: nodes of one hop can't ask their own metadata for it.
        firewall_arn: may be put before load balancers; None where there is none.
    """

    cluster: pulumi.Input[str]
    named: str
    version: str
    vpc_id: pulumi.Input[str]
    firewall_arn: pulumi.Input[str] | None


class EksControllers(pulumi.ComponentResource):
    """`ready` is what an Ingress waits for, so that on the way down the controller outlives it."""

    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, site: Site, args: ControllersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:EksControllers", name, None, opts)
        self._name, self._site, self._args = name, site, args
        rights = controller_rights.load_balancers(site, args.named, args.firewall_arn)
        balancer = self._installed("balancer", BALANCER, rights, balancer_values(site.region, args))
        rights = controller_rights.autoscaler(site, args.named)
        scaler = self._installed("autoscaler", AUTOSCALER, rights, autoscaler_values(site.region, args))
        self.ready = [balancer, scaler]
        self.register_outputs({})

    def _installed(self, what: str, chart: Chart, rights: list[Statement], values: Mapping[str, Any]) -> Release:
        name, account = f"{self._name}-{what}", Account(self._args.named, SYSTEM, chart.name)
        own = pod_role(
            name, self._site, account, description=f"{chart.name} of the cluster", statements=rights, parent=self
        )
        bound = bind(name, account, self._args.cluster, own, self)
        return Release(
            name,
            name=chart.name,
            namespace=SYSTEM,
            chart=chart.name,
            version=chart.version,
            repository_opts={"repo": chart.repository},
            values=dict(values),
            atomic=True,
            timeout=PATIENCE_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[bound]),
        )


def balancer_values(region: str, args: ControllersArgs) -> dict[str, Any]:
    """Of the load balancer controller's chart; it makes the IngressClass `alb` too."""
    return {
        "clusterName": args.cluster,
        "region": region,
        "vpcId": args.vpc_id,
        "replicaCount": 2,
        "serviceAccount": {"create": True, "name": BALANCER.name},
        "podDisruptionBudget": {"maxUnavailable": 1},
        "enableShield": False,
        "enableWaf": False,  # the classic firewall
        "enableWafv2": True,
        "enableServiceMutatorWebhook": False,  # it would stop every Service while it is away
        "resources": _resources("100m", "128Mi"),
    }


def autoscaler_values(region: str, args: ControllersArgs) -> dict[str, Any]:
    """Of the autoscaler's chart."""
    return {
        "fullnameOverride": AUTOSCALER.name,
        "cloudProvider": "aws",
        "awsRegion": region,
        "autoDiscovery": {"clusterName": args.cluster},
        "image": {"tag": f"v{args.version}.0"},
        "rbac": {"serviceAccount": {"create": True, "name": AUTOSCALER.name}},
        "extraArgs": {
            "balance-similar-node-groups": True,
            "expander": "least-waste",
            "skip-nodes-with-local-storage": False,  # the service's scratch space is no reason to keep a node
            "skip-nodes-with-system-pods": False,
        },
        "podDisruptionBudget": {"maxUnavailable": 1},
        "priorityClassName": "system-cluster-critical",
        "resources": _resources("100m", "256Mi"),
    }


def _resources(cpu: str, memory: str) -> dict[str, Any]:
    """Memory is what it asks for, so that it is never taken away; CPU is not capped."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}
