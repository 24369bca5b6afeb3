"""The namespace of a stack: Pod Security `restricted`, closed to the network, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.components.kube import network_policies, quotas, store_pods
from infra.components.kube.objects import KubeObject, Manifest, described
from infra.sizing import dns_address

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.config import StackConfig

OF = "rag"
# which label the webhook of whoever makes the load balancers looks for, by mode
GATES = {
    "managed": "elbv2.k8s.aws/pod-readiness-gate-inject",
    "auto": "eks.amazonaws.com/pod-readiness-gate-inject",
}


def namespace(site: Site, cfg: StackConfig) -> Manifest:
    """Refuses what isn't `restricted`, as the cluster's own version defines it.

    The controller adds a readiness gate to each pod: none counts as ready before the load balancer sends to it.
    """
    made = described("v1", "Namespace", f"rag-{site.stack}", namespace=None, of=OF)
    version = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    pinned = {f"{mode}-version": f"v{cfg.eks.version}" for mode in version}
    made["metadata"]["labels"] |= {**version, **pinned, GATES[cfg.eks.mode]: "enabled"}
    return made


class KubeNamespace(pulumi.ComponentResource):
    """`namespace` is its name; whoever takes it from here waits until it is closed and bounded."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, site: Site, cfg: StackConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:KubeNamespace", name, None, opts)
        manifest = namespace(site, cfg)
        # what holds data keeps its namespace: volume claims would go with it
        kept = site.stateful(self) if store_pods.wanted(cfg) else pulumi.ResourceOptions(parent=self)
        made = KubeObject(f"{name}-namespace", manifest, kept)
        child = pulumi.ResourceOptions(parent=self, depends_on=[made])
        groups = [quotas.of_service(cfg), *quotas.of_stores(cfg)]
        called = str(manifest["metadata"]["name"])
        ways = network_policies.closed(called, dns_address(cfg.eks.service_cidr))
        rules = [quotas.quota(called, groups), quotas.limit_range(called, groups), *ways]
        guards = [
            KubeObject(f"{name}-{each['kind'].lower()}-{each['metadata']['name']}", each, child) for each in rules
        ]
        self.namespace = pulumi.Output.all(made.urn, *(each.urn for each in guards)).apply(lambda _: called)
        self.register_outputs({"namespace": self.namespace})
