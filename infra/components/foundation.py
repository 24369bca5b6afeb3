"""What the cloud topologies share: key, network, repository, secrets, buckets, alerts, cache, stores, model access.

Built in both phases of the bootstrap; the workload comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components import cache as answers
from infra.components.account import Site
from infra.components.alerts import Alerts, Budget
from infra.components.api_keys import BOOK, ApiKeys
from infra.components.bucket import BucketArgs, PrivateBucket
from infra.components.cache import Cache, CacheArgs
from infra.components.cdn import CALLER_HEADER
from infra.components.data_stores import DataStores, Stores, StoresArgs
from infra.components.encryption import EncryptionKey
from infra.components.model_access import ModelAccess, ModelAccessArgs, invoke_statements
from infra.components.network import Network, NetworkArgs
from infra.components.observability.metrics import disk, snapshots
from infra.components.registry import Registry
from infra.components.switches import Switches
from infra.components.vault import Vault
from infra.components.waf import Waf, WafArgs
from infra.delivery import Endpoint
from infra.service_environment import Wiring, service_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.components.observability.metrics import Metric
    from infra.components.permissions import Statement
    from infra.config import StackConfig
    from infra.service_environment import ServiceEnvironment

LOG_DAYS = 90  # access logs of load balancer and buckets


@dataclass(frozen=True)
class Neighbour:
    """Something inside the network that the service connects to."""

    name: str
    security_group_id: pulumi.Output[str]
    port: int
    description: str


def cost_tags(cfg: StackConfig) -> dict[str, str]:
    """The tags that every resource carries and that the bill is split by."""
    own = {"project": "rag-platform", "stack": cfg.stack, "topology": cfg.topology, "environment": cfg.environment}
    return {**cfg.tags, **own}


def provider(name: str, cfg: StackConfig) -> aws.Provider:
    """The one AWS provider of a stack: its region, and tags on everything."""
    return aws.Provider(f"{name}-aws", region=cfg.region, default_tags={"tags": cost_tags(cfg)})


def site(cfg: StackConfig, on: aws.Provider) -> Site:
    """The surroundings of the stack."""
    caller = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=on))
    return Site(
        stack=cfg.stack,
        account=caller.account_id,
        region=str(cfg.region),
        protect=cfg.protect,
        tags=cost_tags(cfg),
    )


class Foundation(pulumi.ComponentResource):
    """The shared parts by name; absent ones are None."""

    cache: Cache | None = None
    model: ModelAccess | None = None
    _network: Network | None = None

    def __init__(
        self,
        name: str,
        cfg: StackConfig,
        where: Site,
        opts: pulumi.ResourceOptions | None = None,
        *,
        stores: Callable[[Foundation], Stores | None] | None = None,
    ) -> None:
        """`stores` builds the self-hosted stores from key and network; without it they run on instances."""
        super().__init__("rag-platform:component:Foundation", name, None, opts)
        self.site, self._name, self._cfg = where, name, cfg
        self._child = pulumi.ResourceOptions(parent=self)
        self.key_arn = EncryptionKey(name, where, opts=self._child).arn
        self.log_bucket = PrivateBucket(
            f"{name}-logs",
            where,
            BucketArgs(expire_days=LOG_DAYS, writer="logdelivery.elasticloadbalancing.amazonaws.com"),
            opts=self._child,
        )
        if cfg.has_network:
            network = NetworkArgs(cfg.network, self.key_arn, cfg.monitoring.log_retention_days)
            self._network = Network(name, where, network, opts=self._child)
        self.registry = Registry(name, where, self.key_arn, opts=self._child)
        self.alerts = Alerts(name, where, self.key_arn, cfg.monitoring, opts=self._child)
        Budget(name, where, cfg.budget, self.alerts.notices, opts=self._child)
        self.stores: Stores | None = self._on_instances() if stores is None else stores(self)
        self._cache()
        self.vault = Vault(name, where, self.key_arn, self._secrets(), opts=self._child)
        self.switches = Switches(name, where, opts=self._child)
        self._model()
        self.register_outputs({"keyArn": self.key_arn})

    @property
    def network(self) -> Network:
        """The stack's network.

        Raises:
            LookupError: nothing that the config asks for needs one (`StackConfig.has_network`).
        """
        if self._network is None:
            raise LookupError(f"the stack {self._cfg.stack} has no network")
        return self._network

    def log_group(self, what: str) -> aws.cloudwatch.LogGroup:
        """An encrypted log group `/rag/<stack>/<what>`."""
        return aws.cloudwatch.LogGroup(
            f"{self._name}-{what}",
            name=f"/rag/{self._cfg.stack}/{what}",
            retention_in_days=self._cfg.monitoring.log_retention_days,
            kms_key_id=self.key_arn,
            opts=self._child,
        )

    def address_of(self, store: str) -> pulumi.Output[str] | None:
        """The `http://` address of a self-hosted store, None where it isn't one."""
        return self.stores.address_of(store) if self.stores else None

    def settings(
        self, *, host: str, port: int, metrics_port: int, release: str, llamacpp_url: str | None = None
    ) -> ServiceEnvironment:
        """What the service is told: where a topology has it listen, and where everything here is."""
        wiring = Wiring(
            host=host,
            port=port,
            metrics_port=metrics_port,
            release=release,
            qdrant_url=self.address_of("qdrant"),
            api_keys_from=self.vault.arns.get(BOOK),
            switches_from=self.switches.address,
            llamacpp_url=llamacpp_url,
            metric_namespace=f"rag-platform/{self._cfg.stack}",
        )
        return service_environment(self._cfg, wiring)

    def invoke(self) -> list[Statement]:
        """What the service needs to ask its model; nothing where that is not on SageMaker."""
        asked = self._cfg.generation
        return invoke_statements(self.site, asked.endpoint, asked.component) if self.model else []

    def endpoint(self) -> Endpoint | None:
        """What `opsctl deploy-endpoint` needs; None where the model is not on SageMaker."""
        model = self.model
        if model is None:
            return None
        subnets = pulumi.Output.all(*self._network.private_subnet_ids).apply(list) if self._network else None
        return Endpoint(
            name=self._cfg.generation.endpoint,
            role_arn=model.role_arn,
            bucket=model.bucket,
            key_arn=self.key_arn,
            subnets=subnets,
            security_group=model.security_group_id,
        )

    def firewall(self, opts: pulumi.ResourceOptions) -> Waf | None:
        """What stands before the front door; None where the config does without."""
        if not self._cfg.access.waf:
            return None
        limits = WafArgs(
            requests_per_5_minutes=self._cfg.access.waf_requests_per_5_minutes,
            caller_header=CALLER_HEADER if self._cfg.cdn else None,
            key_arn=self.key_arn,
            log_retention_days=self._cfg.monitoring.log_retention_days,
        )
        return Waf(self._name, self.site, limits, opts=opts)

    def neighbours(self) -> list[Neighbour]:
        """What the service must be able to reach inside the network."""
        found = [
            Neighbour(store.kind, group, store.port, f"Service to {store.kind}")
            for store in (self.stores.running if self.stores else ())
            if (group := store.security_group_id) is not None
        ]
        if self.cache is not None:
            found.append(Neighbour("cache", self.cache.security_group_id, answers.PORT, "Service to cache"))
        return found

    def saved_volumes(self) -> dict[str, Metric]:
        """What says that the volumes of stores on instances were saved."""
        policy = self.stores.snapshots if self.stores else None
        return {} if policy is None else {"volumes": snapshots(policy)}

    def disks(self) -> dict[str, Metric]:
        """How full the volumes of the self-hosted stores are."""
        if self.stores is None:
            return {}
        stores, namespace = self.stores, f"rag-platform/{self._cfg.stack}"
        return {store.kind: disk(namespace, store.kind, stores.disk_labels) for store in stores.running}

    def _on_instances(self) -> DataStores | None:
        if self._network is None:
            return None
        args = StoresArgs(
            vpc_id=self.network.vpc_id,
            subnet_ids=self.network.private_subnet_ids,
            zones=self.network.zones,
            key_arn=self.key_arn,
        )
        return DataStores(self._name, self.site, self._cfg, args, opts=self._child)

    def _cache(self) -> None:
        config = self._cfg.cache
        if config.redis != "elasticache":
            return
        args = CacheArgs(
            vpc_id=self.network.vpc_id,
            subnet_ids=self.network.private_subnet_ids,
            key_arn=self.key_arn,
            node_type=config.node_type,
            nodes=config.nodes,
        )
        self.cache = Cache(self._name, self.site, args, opts=self._child)

    def _secrets(self) -> dict[str, pulumi.Input[str] | None]:
        """Credential -> value: vendors' from the config, the stack's own generated; None is filled in later."""
        given = {
            str(info.alias or field): getattr(self._cfg.secrets, field)
            for field, info in type(self._cfg.secrets).model_fields.items()
        }
        values: dict[str, pulumi.Input[str] | None] = {
            name: pulumi.Output.secret(value.get_secret_value()) if value else None
            for name, value in given.items()
            if value or name in _vendors(self._cfg)
        }
        if self.stores is not None:
            values |= self.stores.secrets
        if self.cache is not None:
            values["redisUrl"] = self.cache.url
        if self._cfg.access.auth == "api-keys":
            values |= ApiKeys(self._name, self._cfg.access.keys, opts=self._child).secrets
        return values

    def _model(self) -> None:
        if self._cfg.generation.provider != "sagemaker":
            return
        args = ModelAccessArgs(
            endpoint=self._cfg.generation.endpoint,
            vpc_id=self._network.vpc_id if self._network else None,
            key_arn=self.key_arn,
            log_bucket=self.log_bucket,
        )
        self.model = ModelAccess(self._name, self.site, args, opts=self._child)


def _vendors(cfg: StackConfig) -> set[str]:
    """Credentials whose place must exist before somebody fills it."""
    wanted = {
        "openaiApiKey": "openai" in {cfg.query_model.provider, cfg.generation.provider},
        "qdrantApiKey": cfg.retrieval.qdrant == "cloud",
        "mongoUrl": cfg.documents.mongo == "atlas",
        "opikApiKey": cfg.monitoring.opik,
    }
    return {name for name, needed in wanted.items() if needed}
