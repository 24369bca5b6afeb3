"""What every pod here is hardened with: Pod Security `restricted`, no token, no way to write but scratch space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.config.platforms import Resources

UID = 10001
GIB = 2**30
SCRATCH_MIB = 512
EPHEMERAL_MIB = (256, 1024)  # request and limit of a container: its log files and scratch space

# containers can't be more than their pod: user, group and profile are set once
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "fsGroup": UID,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def quantity(gib: float) -> str:
    """Memory as Kubernetes writes it: `2Gi`, `1536Mi`."""
    mib = round(gib * 1024)
    return f"{mib // 1024}Gi" if mib % 1024 == 0 else f"{mib}Mi"


def millicores(cpu: float) -> str:
    """CPU as Kubernetes writes it: `1000m`."""
    return f"{round(cpu * 1000)}m"


def sized(requests: Resources, limits: Resources) -> dict[str, dict[str, str]]:
    """Requests and limits of a container."""
    return {
        "requests": _amounts(requests.cpu, requests.memory_gib, EPHEMERAL_MIB[0]),
        "limits": _amounts(limits.cpu, limits.memory_gib, EPHEMERAL_MIB[1]),
    }


def _amounts(cpu: float, gib: float, scratch_mib: int) -> dict[str, str]:
    return {"cpu": millicores(cpu), "memory": quantity(gib), "ephemeral-storage": f"{scratch_mib}Mi"}


def spread(selected: dict[str, str], *, by_revision: bool) -> dict[str, Any]:
    """Over zones and hosts where there is room.

    Not a condition: an update on nodes that are full in one zone would wait for ever for a place in it.
    """
    revision = {"matchLabelKeys": ["pod-template-hash"]} if by_revision else {}
    constraints = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selected},
            **revision,
        }
        for key in (ZONE, HOST)
    ]
    apart = {"topologyKey": HOST, "labelSelector": {"matchLabels": selected}}
    affinity = {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
        }
    }
    return {"affinity": affinity, "topologySpreadConstraints": constraints}


def hardened(service_account: str) -> dict[str, Any]:
    """The fields of a pod's spec that are the same for all."""
    return {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,  # Pod Identity's own token is put in by its webhook
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
    }


def scratch(name: str) -> dict[str, Any]:
    """A volume to write to, bounded."""
    return {"name": name, "emptyDir": {"sizeLimit": f"{SCRATCH_MIB}Mi"}}
