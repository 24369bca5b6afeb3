"""Backups of self-hosted data stores: every night a copy in a bucket, by the service's own image and a role of its own.

A cache has none: its answers may be lost. How to restore one is in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from infra.components import store_copies
from infra.components.eks.identity import Account, bind, pod_role
from infra.components.kube import network_policies, quotas, store_pods
from infra.components.kube.network_policies import Near
from infra.components.kube.objects import KubeObject, Manifest, described, labels
from infra.components.kube.pod import CONTAINER_SECURITY, hardened, scratch, sized
from infra.components.kube.store_pods import PEERS
from infra.components.kube.stores import BACKUP

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.components.bucket import PrivateBucket
    from infra.config import StackConfig

TIMES = {"mongo": "0 3 * * *", "qdrant": "30 3 * * *"}  # UTC; as the snapshots of stores on instances
CREDENTIALS = {"mongo": "DATABASE_HOST", "qdrant": "QDRANT_APIKEY"}  # the service's own names
LATEST_START_S = 3600  # a cluster that was away for so long makes up for the night
MOST_S = 4 * 3600


@dataclass(frozen=True)
class BackupArgs:
    """What the backups are made with.

    Attributes:
        namespace: where the stores are.
        cluster_name: chosen by the program; `cluster` is the same, known once the cluster is there.
        secrets: environment name of a credential -> ARN of its secret.
        near: the stores, as a network policy names them.
        key_arn: encrypts the bucket and the secrets.
        log_bucket: takes the bucket's access log.
        after: what must be there first: the secrets' values, the stores.
    """

    namespace: pulumi.Input[str]
    cluster_name: str
    cluster: pulumi.Input[str]
    secrets: Mapping[str, pulumi.Input[str]]
    near: Sequence[Near]
    key_arn: pulumi.Input[str]
    log_bucket: PrivateBucket
    after: Sequence[pulumi.Resource] = ()


def kinds(cfg: StackConfig) -> list[str]:
    """The self-hosted stores that are saved; without an image there is nothing yet that could."""
    return store_pods.saved(cfg) if cfg.service.image else []


class KubeBackups(pulumi.ComponentResource):
    """`bucket` is its name, `place` where in it the copies are."""

    bucket: pulumi.Output[str]
    place: pulumi.Output[str]

    def __init__(
        self, name: str, site: Site, cfg: StackConfig, args: BackupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:KubeBackups", name, None, opts)
        self._name, self._site, self._cfg, self._args = name, site, cfg, args
        made = store_copies.bucket(name, site, args.key_arn, args.log_bucket, self)
        self.bucket, self.place = made.bucket, store_copies.place_of(made, site)
        guards = self._guards(made.arn)
        for kind in kinds(cfg):
            self._object(self._job(kind), after=[*guards, *args.after])
        self.register_outputs({"bucket": self.bucket})

    def _guards(self, bucket_arn: pulumi.Input[str]) -> list[pulumi.Resource]:
        """Who the jobs are, what they may do, and whom they reach."""
        args, called = self._args, f"{self._name}-backup"
        account = Account(args.cluster_name, f"rag-{self._site.stack}", BACKUP)
        role = pod_role(
            called,
            self._site,
            account,
            description="Saves the data stores in a bucket, and puts them back",
            statements=store_copies.rights(bucket_arn, list(args.secrets.values()), args.key_arn),
            parent=self,
        )
        known = described(
            "v1", "ServiceAccount", BACKUP, namespace=args.namespace, of=BACKUP, automountServiceAccountToken=False
        )
        ways = network_policies.opened(BACKUP, args.namespace, servers=args.near, internet=[443], aws=True)
        return [bind(called, account, args.cluster, role, self), self._object(known), self._object(ways)]

    def _job(self, kind: str) -> Manifest:
        spec = {
            "schedule": TIMES[kind],
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATEST_START_S,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 2,
                    "activeDeadlineSeconds": MOST_S,
                    "template": {"metadata": {"labels": labels(BACKUP)}, "spec": self._pod(kind)},
                }
            },
        }
        notes = {"rag-platform/environment": self._cfg.environment}
        name = f"{BACKUP}-{kind}"
        return described(
            "batch/v1", "CronJob", name, namespace=self._args.namespace, of=BACKUP, annotations=notes, spec=spec
        )

    def _pod(self, kind: str) -> dict[str, Any]:
        metrics = f"rag-platform/{self._site.stack}"
        container = {
            "name": BACKUP,
            "image": str(self._cfg.service.image),
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-m", "service.jobs.backup"],
            "args": ["save", kind, "--to", self.place, "--metrics", metrics, *self._nodes(kind)],
            "env": [{"name": name, "value": value} for name, value in sorted(self._told(kind).items())],
            "resources": sized(*quotas.COPY),
            "securityContext": CONTAINER_SECURITY,
            "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - in the container
        }
        return {
            **hardened(BACKUP),
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [scratch("scratch")],
        }

    def _told(self, kind: str) -> dict[str, pulumi.Input[str]]:
        """The environment, in the service's own names."""
        credential = CREDENTIALS[kind]
        told: dict[str, pulumi.Input[str]] = {
            "AWS_REGION": self._site.region,
            "RAG_SECRETS_FROM": pulumi.Output.json_dumps({credential: self._args.secrets[credential]}),
        }
        if kind == "mongo":
            return {**told, "DATABASE_NAME": self._cfg.documents.database}
        return {**told, "QDRANT_CLOUD_URL": _node(self._args.namespace, 0)}

    def _nodes(self, kind: str) -> list[pulumi.Input[str]]:
        """A snapshot holds the shards of one node: each pod is asked by its own name."""
        if kind != "qdrant":
            return []
        pods = store_pods.pods_of(self._cfg, kind)
        return [word for number in range(pods) for word in ("--node", _node(self._args.namespace, number))]

    def _object(self, manifest: Manifest, after: Sequence[pulumi.Resource] = ()) -> KubeObject:
        options = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        return KubeObject(f"{self._name}-{manifest['kind'].lower()}-{manifest['metadata']['name']}", manifest, options)


def _node(namespace: pulumi.Input[str], number: int) -> pulumi.Output[str]:
    return pulumi.Output.concat(f"http://qdrant-{number}.qdrant{PEERS}.", namespace, ".svc.cluster.local:6333")
