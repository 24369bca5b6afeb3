"""Self-hosted data stores in the cluster: StatefulSets whose volumes outlive them, closed to all but their clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import pulumi

from infra.components import store_scripts
from infra.components.data_stores import RunningStore, credential
from infra.components.generated import GeneratedToken
from infra.components.kube import network_policies, scaling, service_pod, store_pods
from infra.components.kube.network_policies import Near
from infra.components.kube.objects import KubeObject, Manifest, described
from infra.components.kube.store_kinds import POD_SPECS

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.config import StackConfig

SHARED = "rag"  # label of what belongs to no store alone
BACKUP = "backup"  # label of the pods that copy the stores' data
ROLLOUT = pulumi.CustomTimeouts(create="20m", update="30m")
DATA_PRIORITY = 1_000_000  # below what Kubernetes keeps for itself, above the service


@dataclass(frozen=True)
class KubeStoresArgs:
    """Where the stores are.

    Attributes:
        namespace: theirs and the service's.
        key_arn: encrypts the volumes.
        provisioner: of the volumes; Auto Mode has one of its own.
        after: what must be there before a volume can be: the driver.
    """

    namespace: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    provisioner: str = "ebs.csi.aws.com"
    after: Sequence[pulumi.Resource] = ()


class KubeStores(pulumi.ComponentResource):
    """The stores that the config wants self-hosted, as `infra.components.data_stores.Stores` asks.

    Attributes:
        near: how a network policy names each of them, by kind.
    """

    running: list[RunningStore]
    secrets: dict[str, pulumi.Input[str] | None]
    snapshots: pulumi.Output[str] | None
    near: dict[str, Near]
    disk_labels: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, name: str, site: Site, cfg: StackConfig, args: KubeStoresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:KubeStores", name, None, opts)
        self._name, self._site, self._cfg, self._args = name, site, cfg, args
        wanted = store_pods.wanted(cfg)
        self._shared = self._for_all() if wanted else []
        self.running = [self._store(kind) for kind in wanted]
        self.snapshots = None  # backups.py saves them
        self.near = {kind: Near([network_policies.pods(kind)], POD_SPECS[kind].port) for kind in wanted}
        self.secrets = {store_scripts.STORES[store.kind].credential: credential(store) for store in self.running}
        self.register_outputs({})

    def address_of(self, kind: str) -> pulumi.Output[str] | None:
        """The `http://` address of a store, None where it isn't self-hosted."""
        found = next((store for store in self.running if store.kind == kind), None)
        return pulumi.Output.concat("http://", found.address, f":{found.port}") if found else None

    def _for_all(self) -> list[KubeObject]:
        """The class of their volumes and of their pods; these belong to no namespace."""
        called = store_pods.shared(self._site)
        storage = described(
            "storage.k8s.io/v1",
            "StorageClass",
            called,
            namespace=None,
            of=SHARED,
            provisioner=self._args.provisioner,
            parameters={"type": "gp3", "encrypted": "true", "kmsKeyId": self._args.key_arn},
            volumeBindingMode="WaitForFirstConsumer",  # a volume can't leave its zone: the pod's decides
            allowVolumeExpansion=True,
            reclaimPolicy="Retain" if self._site.protect else "Delete",
        )
        priority = described(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            called,
            namespace=None,
            of=SHARED,
            value=DATA_PRIORITY,
            globalDefault=False,
            preemptionPolicy="PreemptLowerPriority",
            description="Data stores: the service is of no use without them",
        )
        return [self._object(each, after=self._args.after) for each in (storage, priority)]

    def _store(self, kind: str) -> RunningStore:
        name, placed = f"{self._name}-{kind}", store_pods.placed(self._cfg, self._site, kind, self._args.namespace)
        token = GeneratedToken(f"{name}-token", opts=self._site.stateful(self))
        account = described(
            "v1", "ServiceAccount", kind, namespace=placed.namespace, of=kind, automountServiceAccountToken=False
        )
        before = [
            self._object(each)
            for each in (
                account,
                self._ways(kind),
                scaling.disruption_budget(placed.namespace, kind),
                store_pods.credential(placed, token.value),
                store_pods.for_peers(placed),
            )
        ]
        pods = self._object(store_pods.stateful_set(placed), after=[*before, *self._shared], custom_timeouts=ROLLOUT)
        self._object(store_pods.for_clients(placed), after=[pods])  # waits until one of them is ready
        address = pulumi.Output.concat(kind, ".", self._args.namespace, ".svc.cluster.local")
        return RunningStore(kind, None, address, placed.spec.port, token.value)

    def _ways(self, kind: str) -> Manifest:
        """In from the service and the backups; among its own pods where there are several."""
        spec, own = POD_SPECS[kind], network_policies.pods(kind)
        callers = (service_pod.NAME, service_pod.JOB, BACKUP)
        clients = [Near([network_policies.pods(each) for each in callers], spec.port)]
        peers = [Near([own], spec.peer_port)] if spec.peer_port is not None else []
        return network_policies.opened(kind, self._args.namespace, clients=[*clients, *peers], servers=peers)

    def _object(self, manifest: Manifest, after: Sequence[pulumi.Resource] = (), **more: object) -> KubeObject:
        options = pulumi.ResourceOptions(parent=self, depends_on=list(after), **more)  # type: ignore[arg-type]
        return KubeObject(f"{self._name}-{manifest['kind'].lower()}-{manifest['metadata']['name']}", manifest, options)
