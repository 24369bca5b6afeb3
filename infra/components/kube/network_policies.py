"""Who may talk to whom in the namespace: nobody, unless a policy here says so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.components.kube.objects import Manifest, described, selector

if TYPE_CHECKING:
    import pulumi

OF = "rag"
ANYWHERE = "0.0.0.0/0"
LINK_LOCAL = "169.254.0.0/16"  # the instance's metadata and with it the role of the node
POD_IDENTITY_AGENT = "169.254.170.23/32"
NODE_DNS_CACHE = "169.254.20.10/32"  # where a NodeLocal DNSCache listens, for clusters that have one
KUBE_SYSTEM = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
DNS = {**KUBE_SYSTEM, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
Rule = dict[str, Any]


@dataclass(frozen=True)
class Near:
    """Something inside the network that pods connect to.

    Attributes:
        peers: as a policy names them: pods, or addresses.
        port: TCP.
    """

    peers: Sequence[Rule]
    port: int


def pods(name: str) -> Rule:
    """Pods of the same namespace."""
    return {"podSelector": {"matchLabels": selector(name)}}


def addresses(cidr: pulumi.Input[str]) -> Rule:
    """A part of the network."""
    return {"ipBlock": {"cidr": cidr}}


def closed(namespace: pulumi.Input[str], names_at: str) -> list[Manifest]:
    """For every pod: no way in or out, but to ask for names.

    By address too: where the node itself answers (Auto Mode, a cache on each node) there is no pod to select.

    Args:
        namespace: theirs.
        names_at: the address that pods ask, without a prefix length.
    """
    every: Rule = {"podSelector": {}}
    resolvers = [DNS, addresses(f"{names_at}/32"), addresses(NODE_DNS_CACHE)]
    dns = {"to": resolvers, "ports": [_port(53, "UDP"), _port(53, "TCP")]}
    return [
        _policy("default-deny", namespace, OF, {**every, "policyTypes": ["Ingress", "Egress"]}),
        _policy("allow-dns", namespace, OF, {**every, "policyTypes": ["Egress"], "egress": [dns]}),
    ]


def opened(
    name: str,
    namespace: pulumi.Input[str],
    *,
    clients: Sequence[Near] = (),
    servers: Sequence[Near] = (),
    internet: Iterable[int] = (),
    aws: bool = False,
) -> Manifest:
    """The ways in and out of some pods.

    Args:
        name: of the pods, and of the policy.
        namespace: theirs.
        clients: who may connect, and to which port of these pods.
        servers: where these pods may connect to.
        internet: ports of any address but link-local ones.
        aws: whether they ask the Pod Identity agent for the credentials of their role.
    """
    outward = {"ipBlock": {"cidr": ANYWHERE, "except": [LINK_LOCAL]}}
    egress: list[Rule] = [{"to": list(near.peers), "ports": [_port(near.port)]} for near in servers]
    ports = sorted(internet)
    egress += [{"to": [outward], "ports": [_port(port) for port in ports]}] if ports else []
    egress += [{"to": [addresses(POD_IDENTITY_AGENT)], "ports": [_port(80)]}] if aws else []
    ingress = [{"from": list(near.peers), "ports": [_port(near.port)]} for near in clients]
    spec: Rule = {"podSelector": {"matchLabels": selector(name)}, "policyTypes": ["Ingress", "Egress"]}
    spec |= {"ingress": ingress} if ingress else {}
    spec |= {"egress": egress} if egress else {}
    return _policy(name, namespace, name, spec)


def _policy(name: str, namespace: pulumi.Input[str], of: str, spec: Rule) -> Manifest:
    return described("networking.k8s.io/v1", "NetworkPolicy", name, namespace=namespace, of=of, spec=spec)


def _port(number: int, protocol: str = "TCP") -> Rule:
    return {"port": number, "protocol": protocol}
