"""Self-hosted data stores as Kubernetes runs them. Pure: sizes and names in, manifests out.

Each store keeps its data on volumes that outlive its pods and starts with a generated credential that it reads from a
file; nobody but the service and the backups reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.components import store_scripts
from infra.components.kube.objects import Manifest, described, labels, selector
from infra.components.kube.pod import CONTAINER_SECURITY, HOST, hardened, scratch, sized, spread
from infra.components.kube.store_kinds import POD_SPECS, PodSpec
from infra.components.kube.volume_report import SIZE as REPORT
from infra.components.kube.volume_report import volume_report
from infra.config.platforms import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.components.account import Site
    from infra.config import StackConfig

GRACE_S = 120  # a store writes down what it holds before it ends
SETTINGS = "settings"  # the Secret's key
PEERS = "-peers"


@dataclass(frozen=True)
class Placed:
    """One store in one namespace.

    Attributes:
        kind: qdrant, mongo or redis; also its name.
        pods: how many.
        size: of each pod; the limit of its CPU is twice that.
        disk_gib: of each volume.
        image: pinned.
        environment: what it is told beside its own.
        shared: name of the class of its volumes, and of that of its pods.
        keep: whether the volumes outlive the store.
        metrics: namespace of what is said of its volumes.
    """

    kind: str
    namespace: pulumi.Input[str]
    pods: int
    size: Resources
    disk_gib: int
    image: str
    environment: Mapping[str, str]
    shared: str
    keep: bool
    metrics: str

    @property
    def spec(self) -> PodSpec:
        """How its kind runs."""
        return POD_SPECS[self.kind]


def wanted(cfg: StackConfig) -> list[str]:
    """The kinds of store that the config wants self-hosted."""
    chosen = {
        "qdrant": cfg.retrieval.qdrant,
        "mongo": cfg.documents.mongo,
        "redis": cfg.cache.redis,
    }
    return [kind for kind, where in chosen.items() if where == "self-hosted"]


def saved(cfg: StackConfig) -> list[str]:
    """Those whose data is copied each night; what a cache holds may be lost."""
    return [kind for kind in wanted(cfg) if kind != "redis"]


def shared(site: Site) -> str:
    """The name of what all stores of a stack share."""
    return f"rag-{site.stack}-data"


def pods_of(cfg: StackConfig, kind: str) -> int:
    """How many pods a store has: Qdrant is a cluster."""
    return cfg.retrieval.self_hosted.instances if kind == "qdrant" else 1


def size_of(cfg: StackConfig, kind: str) -> Resources:
    """What each pod's store asks for."""
    found: Resources = getattr(cfg.eks.stores, kind)
    return found


def with_report(size: Resources) -> Resources:
    """A pod's size from its store's: what says how full the volume is runs beside it."""
    return Resources(cpu=size.cpu + REPORT.cpu, memoryGiB=size.memory_gib + REPORT.memory_gib)


def limits_of(size: Resources) -> Resources:
    """All the memory is its own: a store that is killed for memory loses what it had cached; CPU may be borrowed."""
    return Resources(cpu=2 * size.cpu, memoryGiB=size.memory_gib)


def placed(cfg: StackConfig, site: Site, kind: str, namespace: pulumi.Input[str]) -> Placed:
    """A store as the config sizes it."""
    sizes = {"qdrant": cfg.retrieval.self_hosted, "mongo": cfg.documents.self_hosted, "redis": cfg.cache.self_hosted}
    return Placed(
        kind=kind,
        namespace=namespace,
        pods=pods_of(cfg, kind),
        size=size_of(cfg, kind),
        disk_gib=sizes[kind].disk_gib,
        image=sizes[kind].image or store_scripts.STORES[kind].image,
        environment=store_scripts.cluster_settings(cfg.retrieval.self_hosted) if kind == "qdrant" else {},
        shared=shared(site),
        keep=site.protect,
        metrics=f"rag-platform/{site.stack}",
    )


def credential(placed: Placed, token: pulumi.Output[str]) -> Manifest:
    """The only Secret of the namespace: what a store itself is started with."""
    text = token.apply(lambda value: placed.spec.settings.format(token=value))
    return described(
        "v1",
        "Secret",
        f"{placed.kind}-settings",
        namespace=placed.namespace,
        of=placed.kind,
        type="Opaque",
        immutable=True,
        stringData={SETTINGS: text},
    )


def for_clients(placed: Placed) -> Manifest:
    """The Service that clients connect to: those pods that are ready."""
    kind = placed.kind
    spec = {"ports": [_port("client", placed.spec.port)], "selector": selector(kind)}
    return described("v1", "Service", kind, namespace=placed.namespace, of=kind, spec=spec)


def for_peers(placed: Placed) -> Manifest:
    """The Service by which each pod has a name of its own, ready or not: a pod joins before it is ready."""
    kind, peer = placed.kind, placed.spec.peer_port
    ports = [_port("client", placed.spec.port), *([_port("peer", peer)] if peer is not None else [])]
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "ports": ports, "selector": selector(kind)}
    return described("v1", "Service", kind + PEERS, namespace=placed.namespace, of=kind, spec=spec)


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}


def stateful_set(placed: Placed) -> Manifest:
    """The pods and their volumes; a change goes from the last pod to the first."""
    kind, after = placed.kind, "Retain" if placed.keep else "Delete"
    claim = {
        "metadata": {"name": "data", "labels": labels(kind)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": placed.shared,
            "resources": {"requests": {"storage": f"{placed.disk_gib}Gi"}},
        },
    }
    spec = {
        "serviceName": kind + PEERS,
        "replicas": placed.pods,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate"},
        "revisionHistoryLimit": 3,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": after, "whenScaled": "Retain"},
        "selector": {"matchLabels": selector(kind)},
        "template": {"metadata": {"labels": labels(kind)}, "spec": _pod(placed)},
        "volumeClaimTemplates": [claim],
    }
    return described("apps/v1", "StatefulSet", kind, namespace=placed.namespace, of=kind, spec=spec)


def _pod(placed: Placed) -> dict[str, Any]:
    kind = placed.kind
    secret = {"secretName": f"{kind}-settings", "defaultMode": 0o440}
    return {
        **hardened(kind),
        **_apart(placed),
        "priorityClassName": placed.shared,
        "terminationGracePeriodSeconds": GRACE_S,
        "initContainers": [volume_report(placed)],
        "containers": [_container(placed)],
        "volumes": [scratch("scratch"), {"name": "settings", "secret": secret}],
    }


def _container(placed: Placed) -> dict[str, Any]:
    spec = placed.spec
    ports = [{"name": "client", "containerPort": spec.port, "protocol": "TCP"}]
    if spec.peer_port is not None:
        ports.append({"name": "peer", "containerPort": spec.peer_port, "protocol": "TCP"})
    environment = {**spec.environment, **placed.environment}
    made: dict[str, Any] = {
        "name": placed.kind,
        "image": placed.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": ports,
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "resources": sized(placed.size, limits_of(placed.size)),
        "startupProbe": {**spec.live, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 60},
        "livenessProbe": {**spec.live, "periodSeconds": 20, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {**spec.ready, "periodSeconds": 15, "timeoutSeconds": 10, "failureThreshold": 2},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "data", "mountPath": spec.data_path},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - in the container
            {"name": "settings", "mountPath": spec.settings_path, "subPath": SETTINGS, "readOnly": True},
        ],
    }
    if not made["env"]:
        del made["env"]
    made |= {"command": list(spec.command)} if spec.command else {}
    made |= {"args": list(spec.args)} if spec.args else {}
    return made


def _apart(placed: Placed) -> dict[str, Any]:
    """Over zones; never two pods of a store on one host, where both would be lost together."""
    where = spread(selector(placed.kind), by_revision=False)
    apart = {"topologyKey": HOST, "labelSelector": {"matchLabels": selector(placed.kind)}}
    return {**where, "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}}
