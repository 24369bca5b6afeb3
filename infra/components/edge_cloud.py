"""The cloud half of hybrid: bundle bucket, the edge's role, what a SageMaker fallback needs, alarms. No network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components import foundation
from infra.components.alerts import Alerts, Budget
from infra.components.bucket import ACCESS_LOG, BucketArgs, PrivateBucket
from infra.components.edge_alarms import EdgeAlarmArgs, EdgeAlarms
from infra.components.edge_identity import EdgeIdentity
from infra.components.encryption import EncryptionKey
from infra.components.model_access import ModelAccess, ModelAccessArgs, invoke_statements
from infra.components.observability.declared import Observability, ServiceAlarms
from infra.components.observability.watched import watched_edge
from infra.components.permissions import Statement, allow
from infra.components.vault import Vault
from infra.delivery import Bundle, Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.config import StackConfig

PREFIX = "bundles/"
FALLBACK_KEY = "fallbackApiKey"


@dataclass(frozen=True)
class EdgeCloudArgs:
    """What the cloud half is told of the edge: its hosts, by the names that their metrics carry."""

    hosts: Sequence[str]


class EdgeCloud(pulumi.ComponentResource):
    """What stands behind the edges; absent parts are None.

    Attributes:
        namespace: of the edges' metrics.
        identity: the role that the hosts take.
        bundle: where they find new bundles.
        endpoint: what the fallback's endpoint is made with.
        secrets: name -> ARN.
        topics: severity -> ARN.
        dashboard_url: the stack's page.
    """

    identity: EdgeIdentity
    model: ModelAccess | None = None
    bundle: Bundle | None = None
    endpoint: Endpoint | None = None

    def __init__(
        self, name: str, cfg: StackConfig, site: Site, args: EdgeCloudArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:EdgeCloud", name, None, opts)
        self._name, self._cfg, self.site = name, cfg, site
        self._child = pulumi.ResourceOptions(parent=self)
        self.namespace = f"rag-platform/{cfg.stack}"
        self.key_arn = EncryptionKey(name, site, opts=self._child).arn
        self._access_log = PrivateBucket(
            f"{name}-logs",
            site,
            BucketArgs(expire_days=foundation.LOG_DAYS, writer=ACCESS_LOG),
            opts=self._child,
        )
        self.alerts = alerts = Alerts(name, site, self.key_arn, cfg.monitoring, opts=self._child)
        Budget(name, site, cfg.budget, alerts.notices, opts=self._child)
        self.topics = {"critical": alerts.pager, "warning": alerts.notices}
        self.secrets = Vault(name, site, self.key_arn, self._credentials(), opts=self._child).arns
        may = [*self._bundles(), *self._fallback(), *self._own()]
        self.identity = EdgeIdentity(name, site, cfg.hybrid.edge.identity, may, opts=self._child)
        watched = EdgeAlarmArgs(
            self.namespace, args.hosts, cfg.hybrid.alarms, alerts, runbook=cfg.monitoring.runbook_url
        )
        EdgeAlarms(name, watched, opts=self._child)
        self.dashboard_url = self._watch(args.hosts)
        self.register_outputs({"roleArn": self.identity.role_arn})

    def _watch(self, hosts: Sequence[str]) -> pulumi.Output[str]:
        """What every stack has: alarms on errors, latency and the promise, the price of the hour, a page of its own."""
        name, cfg = self._name, self._cfg
        seen = watched_edge(cfg, hosts)
        alarms = ServiceAlarms(name, seen.front, self.alerts, cfg.monitoring, opts=self._child)
        return Observability(name, cfg, self, seen, alarms.arns, opts=self._child).dashboard_url

    def _credentials(self) -> dict[str, pulumi.Input[str] | None]:
        secrets = self._cfg.secrets
        wanted = {
            FALLBACK_KEY: secrets.fallback_api_key,
            "huggingFaceToken": secrets.hugging_face_token,  # `opsctl model upload` asks for it
            "qdrantApiKey": secrets.qdrant_api_key,  # and `opsctl export-index` for this one
        }
        return {name: pulumi.Output.secret(value.get_secret_value()) for name, value in wanted.items() if value}

    def _bundles(self) -> list[Statement]:
        """The bucket, and that the edge may read it: writing is for whoever exports."""
        if not self._cfg.bundle_bucket:
            return []
        args = BucketArgs(
            key_arn=self.key_arn,
            log_bucket=self._access_log,
            noncurrent_days=self._cfg.hybrid.bundle.keep_days,
        )
        store = PrivateBucket(f"{self._name}-bundles", self.site, args, opts=self._child)
        self.bundle = Bundle(bucket=store.bucket, prefix=PREFIX)
        objects = pulumi.Output.concat(store.arn, f"/{PREFIX}*")
        return [
            allow(["s3:GetObject"], [objects]),
            # without it S3 answers "forbidden" for what isn't there yet
            allow(["s3:ListBucket"], [store.arn], {"StringLike": {"s3:prefix": [f"{PREFIX}*"]}}),
            allow(["kms:Decrypt"], [self.key_arn]),
        ]

    def _fallback(self) -> list[Statement]:
        cfg = self._cfg
        if cfg.hybrid.fallback.kind != "sagemaker":
            return []
        args = ModelAccessArgs(
            endpoint=cfg.generation.endpoint, vpc_id=None, key_arn=self.key_arn, log_bucket=self._access_log
        )
        self.model = model = ModelAccess(self._name, self.site, args, opts=self._child)
        self.endpoint = Endpoint(
            name=cfg.generation.endpoint, role_arn=model.role_arn, bucket=model.bucket, key_arn=self.key_arn
        )
        return invoke_statements(self.site, cfg.generation.endpoint, cfg.generation.component)

    def _own(self) -> list[Statement]:
        """Counts into the stack's namespace, and the key of the other stack's service."""
        count = allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": self.namespace}})
        key = self.secrets.get(FALLBACK_KEY)
        if key is None or self._cfg.hybrid.fallback.kind != "service":
            return [count]
        return [count, allow(["secretsmanager:GetSecretValue"], [key])]  # decrypted by the bucket's permission
