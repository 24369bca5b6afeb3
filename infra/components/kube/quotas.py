"""What a namespace may use at most, so that a mistake in it does not take the cluster with it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.components.kube import store_pods
from infra.components.kube.objects import Manifest, described
from infra.components.kube.pod import EPHEMERAL_MIB, millicores, quantity
from infra.config.platforms import Resources

if TYPE_CHECKING:
    import pulumi

    from infra.config import StackConfig

OF = "rag"
COPY = Resources(cpu=0.25, memoryGiB=0.5), Resources(cpu=1, memoryGiB=1)  # request and limit of a backup


@dataclass(frozen=True)
class Group:
    """So many pods whose containers together ask for `requests` and may use `limits`."""

    pods: int
    requests: Resources
    limits: Resources


def of_service(cfg: StackConfig) -> Group:
    """The service's pods: twice the most, because those that an update replaces count until they have ended."""
    requests, limits = cfg.eks.requests, cfg.eks.limits
    if cfg.generation.provider == "llamacpp":
        beside = cfg.generation.llamacpp
        requests, limits = (
            Resources(cpu=each.cpu + beside.cpu, memoryGiB=each.memory_gib + beside.memory_gib)
            for each in (requests, limits)
        )
    return Group(2 * (cfg.service.replicas.max + 1), requests, limits)


def of_stores(cfg: StackConfig) -> list[Group]:
    """The self-hosted stores' pods, and those that copy their data once a day."""
    kinds = store_pods.wanted(cfg)
    sizes = [(store_pods.pods_of(cfg, kind), store_pods.size_of(cfg, kind)) for kind in kinds]
    saved = store_pods.saved(cfg)
    copies = [Group(len(saved) + 1, *COPY)] if saved else []  # one may outlast the next one's start; and one by hand
    whole = store_pods.with_report
    return [Group(pods, whole(size), whole(store_pods.limits_of(size))) for pods, size in sizes] + copies


def quota(namespace: pulumi.Input[str], groups: Sequence[Group]) -> Manifest:
    """The sum over all groups; no load balancer or node port is opened from here."""
    hard = {
        "pods": str(sum(group.pods for group in groups)),
        "requests.cpu": millicores(sum(group.pods * group.requests.cpu for group in groups)),
        "requests.memory": quantity(sum(group.pods * group.requests.memory_gib for group in groups)),
        "limits.cpu": millicores(sum(group.pods * group.limits.cpu for group in groups)),
        "limits.memory": quantity(sum(group.pods * group.limits.memory_gib for group in groups)),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    return described("v1", "ResourceQuota", OF, namespace=namespace, of=OF, spec={"hard": hard})


def limit_range(namespace: pulumi.Input[str], groups: Sequence[Group]) -> Manifest:
    """What a container gets that says nothing, and the most that one may ask for."""
    limits = {
        "type": "Container",
        "defaultRequest": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": f"{EPHEMERAL_MIB[0]}Mi"},
        "default": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": f"{EPHEMERAL_MIB[1]}Mi"},
        "max": {
            "cpu": millicores(max(0.5, *(group.limits.cpu for group in groups))),
            "memory": quantity(max(0.5, *(group.limits.memory_gib for group in groups))),
        },
    }
    return described("v1", "LimitRange", OF, namespace=namespace, of=OF, spec={"limits": [limits]})
