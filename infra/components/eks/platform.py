"""A cluster that is ready for pods: control plane, nodes, add-ons, and the provider that speaks to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from infra.components.eks import addons, auto_mode
from infra.components.eks.cluster import ClusterArgs, EksCluster, cluster_name
from infra.components.eks.nodes import EksNodes, NodesArgs, node_role
from infra.components.kube.objects import KubeObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.config import StackConfig

# Container Insights' own groups; its agent would make them without a key and for ever.
INSIGHTS = ("application", "dataplane", "host", "performance")
PROVISIONERS = {"managed": "ebs.csi.aws.com", "auto": "ebs.csi.eks.amazonaws.com"}


@dataclass(frozen=True)
class PlatformArgs:
    """What it is built from.

    Attributes:
        cfg: the stack config.
        namespace: of the service, whose containers' lines are told apart.
        private_subnet_ids: of nodes, one for each zone.
        public_subnet_ids: of load balancers.
        network: all of it, routes too: controllers call AWS through it until the last load balancer is gone.
        key_arn: encrypts secrets, logs and volumes.
        log_group: takes the service's lines.
    """

    cfg: StackConfig
    namespace: str
    private_subnet_ids: Sequence[pulumi.Input[str]]
    public_subnet_ids: Sequence[pulumi.Input[str]]
    network: pulumi.Resource
    key_arn: pulumi.Input[str]
    log_group: str


class EksPlatform(pulumi.ComponentResource):
    """The cluster, ready.

    Attributes:
        cluster: the control plane.
        kube: the provider; what it makes waits for nodes and add-ons, and is gone before them.
    """

    cluster: EksCluster
    kube: k8s.Provider

    def __init__(self, name: str, site: Site, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:EksPlatform", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._groups = self._log_groups()
        auto = args.cfg.eks.mode == "auto"
        ready = self._auto() if auto else self._managed()
        self.kube = k8s.Provider(
            f"{name}-kube",
            kubeconfig=self.cluster.kubeconfig,
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*ready, args.network]),
        )
        if auto:
            within = pulumi.ResourceOptions(parent=self, provider=self.kube)
            KubeObject(f"{name}-network-policies", auto_mode.enforced_policies(), within)
            for each in auto_mode.ingress_classes(args.public_subnet_ids):
                KubeObject(f"{name}-{each['kind'].lower()}", each, within)
        self.register_outputs({"cluster": self.cluster.cluster})

    def _managed(self) -> list[pulumi.Resource]:
        self.cluster = self._control_plane(None)
        first = self._addons("network", addons.BEFORE_NODES)
        args = NodesArgs(
            self._args.cfg.eks, self._args.cfg.node_bounds, self.cluster.cluster, self._args.private_subnet_ids
        )
        before = [*self.cluster.ready, *first.made, self._args.network]
        nodes = EksNodes(self._name, self._site, args, opts=self._child, after=before)
        later = self._addons("system", [*addons.ON_NODES, self._watching()], after=[nodes.group])
        return [*self.cluster.ready, *first.made, nodes.group, *later.made]

    def _auto(self) -> list[pulumi.Resource]:
        """Network, names, volumes, identities and load balancing are built in."""
        own, policies = node_role(self._name, self._site, self._args.cfg.eks, self)
        self.cluster = self._control_plane(own.arn, after=policies)
        more = self._addons("system", [addons.Addon("metrics-server"), self._watching()])
        return [*self.cluster.ready, *more.made]

    def _control_plane(
        self, node_role_arn: pulumi.Input[str] | None, after: Sequence[pulumi.Resource] = ()
    ) -> EksCluster:
        args = ClusterArgs(
            config=self._args.cfg.eks,
            subnet_ids=self._args.private_subnet_ids,
            key_arn=self._args.key_arn,
            log_retention_days=self._args.cfg.monitoring.log_retention_days,
            node_role_arn=node_role_arn,
        )
        return EksCluster(self._name, self._site, args, opts=self._child, after=after)

    def _addons(
        self, what: str, wanted: Sequence[addons.Addon], after: Sequence[pulumi.Resource] = ()
    ) -> addons.EksAddons:
        args = addons.AddonsArgs(
            cluster=self.cluster.cluster,
            named=self.cluster.name,
            version=self._args.cfg.eks.version,
            addons=wanted,
            key_arn=self._args.key_arn,
        )
        behind = [*after, *self._groups]
        return addons.EksAddons(f"{self._name}-{what}", self._site, args, opts=self._child, after=behind)

    def _watching(self) -> addons.Addon:
        return addons.watching(self.cluster.name, self._args.namespace, self._args.log_group)

    def _log_groups(self) -> list[aws.cloudwatch.LogGroup]:
        cluster = cluster_name(self._site)
        return [
            aws.cloudwatch.LogGroup(
                f"{self._name}-insights-{what}",
                name=f"/aws/containerinsights/{cluster}/{what}",
                retention_in_days=self._args.cfg.monitoring.log_retention_days,
                kms_key_id=self._args.key_arn,
                opts=self._child,
            )
            for what in INSIGHTS
        ]
