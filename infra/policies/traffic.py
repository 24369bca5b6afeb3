"""Rules about ways and losses in a cluster: policies that name both ends, pods that can be moved, data that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infra.policies.pods import DEPLOYMENT, JOB, POLICY, STORE, containers
from infra.policies.rules import Found, Resource, listed, of_type, rule, stack_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
ANYWHERE = ("0.0.0.0/0", "::/0")
LINK_LOCAL = {"169.254.0.0/16", "169.254.169.254/32"}  # the node's metadata, and with it the role of the node
CACHES = ("redis",)  # what they hold may be lost


def ways_are_named(policy: Resource) -> Found:
    """Who talks to whom, and on which port, is said for each way; none leads to the role of the node."""
    spec = policy.props.get("spec") or {}
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for each in listed(spec.get(way)):
            if not each.get(peers):
                yield f"{way} names nobody, which is everybody"
            if not each.get("ports"):
                yield f"{way} names no port, which is every port"
            for block in _blocks(each.get(peers)):
                if block.get("cidr") in ANYWHERE and way == "ingress":
                    yield "lets the whole internet in"
                if block.get("cidr") in ANYWHERE and not LINK_LOCAL & set(listed(block.get("except"))):
                    yield "reaches the metadata of the node"


def _blocks(peers: object) -> Iterator[Mapping[str, Any]]:
    for each in listed(peers):
        if each.get("ipBlock"):
            yield each["ipBlock"]


def volumes_are_encrypted(storage: Resource) -> Found:
    """Data is encrypted, and its volume is where its pod can be."""
    told = storage.props.get("parameters") or {}
    if str(told.get("encrypted")) != "true" or not told.get("kmsKeyId"):
        yield "its volumes aren't encrypted with the stack's key"
    if storage.props.get("volumeBindingMode") != "WaitForFirstConsumer":
        yield "makes a volume before it is known in which zone its pod is"


def pods_can_be_moved(resources: Sequence[Resource]) -> Found:
    """A node can be emptied, one pod at a time, and a sick pod doesn't stop that."""
    budgets = [each.props.get("spec") or {} for each in of_type(resources, BUDGET)]
    for owner in of_type(resources, DEPLOYMENT, STORE):
        spec = owner.props.get("spec") or {}
        chosen = (spec.get("selector") or {}).get("matchLabels")
        own = [each for each in budgets if (each.get("selector") or {}).get("matchLabels") == chosen]
        if not own:
            yield f"{owner.name} has no disruption budget: a drained node takes all its pods at once"
        for each in own:
            if each.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
                yield f"{owner.name}: a pod that never gets ready keeps its node from being drained"
            if not each.get("maxUnavailable"):
                yield f"{owner.name}: its budget lets no pod go"


def stores_are_saved(resources: Sequence[Resource]) -> Found:
    """What can't be made again is copied away from the cluster."""
    if not of_type(resources, DEPLOYMENT):
        return  # the first phase: nothing could save them yet
    saved = {word for job in of_type(resources, JOB) for each in containers(job) for word in listed(each.get("args"))}
    for store in of_type(resources, STORE):
        name = (store.props.get("metadata") or {}).get("name")
        if name not in CACHES and name not in saved:
            yield f"{store.name} is saved by no job"


RULES = (
    rule("kube-ways-named", ways_are_named, "name peers and ports, except 169.254.0.0/16", POLICY),
    rule("kube-volumes-encrypted", volumes_are_encrypted, "set encrypted, kmsKeyId, WaitForFirstConsumer", CLASS),
)
STACK_RULES = (
    stack_rule("kube-evictable", pods_can_be_moved, "add a PodDisruptionBudget: maxUnavailable 1, AlwaysAllow"),
    stack_rule("kube-stores-saved", stores_are_saved, "add a CronJob: infra.components.kube.backups"),
)
