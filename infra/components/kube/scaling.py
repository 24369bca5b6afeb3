"""How many pods there are: the autoscaler, and how many of them an eviction may take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.components.kube.objects import Manifest, described, selector

if TYPE_CHECKING:
    import pulumi

    from infra.config import StackConfig

UP_WINDOW_S, DOWN_WINDOW_S = 60, 300  # as the scaling of the ECS topology waits


def autoscaler(cfg: StackConfig, namespace: pulumi.Input[str], of: str) -> Manifest:
    """Adds pods at once where they are needed, takes them away one by one."""
    bounds, at = cfg.service.replicas, cfg.scaling
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": of},
        "minReplicas": bounds.min,
        "maxReplicas": bounds.max,
        "metrics": [_utilization("cpu", at.cpu_percent), _utilization("memory", at.memory_percent)],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": UP_WINDOW_S,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": 60},
                    {"type": "Pods", "value": 2, "periodSeconds": 60},
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": DOWN_WINDOW_S,
                "selectPolicy": "Max",
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
            },
        },
    }
    return described("autoscaling/v2", "HorizontalPodAutoscaler", of, namespace=namespace, of=of, spec=spec)


def disruption_budget(namespace: pulumi.Input[str], of: str) -> Manifest:
    """Evictions take one pod at a time, and never one that a sick pod's rescue waits for.

    A `minAvailable` of one would keep the node of a lone replica from ever being drained.
    """
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": selector(of)},
    }
    return described("policy/v1", "PodDisruptionBudget", of, namespace=namespace, of=of, spec=spec)


def _utilization(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}
