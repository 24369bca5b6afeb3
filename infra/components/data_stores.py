"""Self-hosted data stores: each on instances of its own, its data on volumes that outlive them.

The address belongs to a network interface, so a new instance (another size, a new image) comes back under the same
address with the same data. Reachable from the service only; snapshots are made daily and kept for two weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pulumi
import pulumi_aws as aws

from infra.components import firewall, store_scripts
from infra.components.generated import GeneratedToken
from infra.components.permissions import allow, role, trusted_by
from infra.components.store_balancer import StoreBalancer, StoreBalancerArgs
from infra.components.store_host import HostArgs, StoreHost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.components.account import Site
    from infra.config import StackConfig
    from infra.config.workload import Store, VectorStore

SNAPSHOTS_KEPT = 14
SESSION_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
UPDATES = {443: "HTTPS: packages, images, AWS"}


@dataclass(frozen=True)
class StoresArgs:
    """Where the stores are.

    Attributes:
        vpc_id: their network.
        subnet_ids: private subnets, one for each zone.
        zones: of those subnets; the volumes live there.
        key_arn: encrypts the volumes.
    """

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    zones: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]


@dataclass(frozen=True)
class RunningStore:
    """A store as its clients see it.

    Attributes:
        kind: qdrant, mongo or redis.
        security_group_id: lets its clients in; None where the store runs among them.
        address: private IP address, or the name of what balances several.
        token: its generated credential, a Pulumi secret.
    """

    kind: str
    security_group_id: pulumi.Output[str] | None
    address: pulumi.Output[str]
    port: int
    token: pulumi.Output[str]


class Stores(Protocol):
    """The self-hosted stores of a stack, whatever they run on.

    Attributes:
        running: those that the config wants self-hosted.
        secrets: their credentials for the vault, by name.
        snapshots: the policy that saves their volumes each night, None where they are saved another way.
        disk_labels: what the metric of their volumes carries besides the store's name.
    """

    disk_labels: Mapping[str, str]

    running: list[RunningStore]
    secrets: dict[str, pulumi.Input[str] | None]
    snapshots: pulumi.Output[str] | None

    def address_of(self, kind: str) -> pulumi.Output[str] | None:
        """The `http://` address of a store, None where it isn't self-hosted."""
        ...


@dataclass(frozen=True)
class _Credential:
    """What a store is started with: the value, and the secret that only its own instances may read."""

    value: pulumi.Output[str]
    arn: pulumi.Output[str]


class DataStores(pulumi.ComponentResource):
    """`running` are the stores that the config wants self-hosted; `secrets` are their credentials for the vault."""

    disk_labels: Mapping[str, str] = store_scripts.DISK_LABELS
    running: list[RunningStore]
    secrets: dict[str, pulumi.Input[str] | None]
    snapshots: pulumi.Output[str] | None

    def __init__(
        self, name: str, site: Site, cfg: StackConfig, args: StoresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:DataStores", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._namespace = f"rag-platform/{site.stack}"
        self._child = pulumi.ResourceOptions(parent=self)
        self.running = []
        if cfg.retrieval.qdrant == "self-hosted":
            self.running.append(self._qdrant(cfg.retrieval.self_hosted))
        if cfg.documents.mongo == "self-hosted":
            self.running.append(self._single("mongo", cfg.documents.self_hosted))
        if cfg.cache.redis == "self-hosted":
            self.running.append(self._single("redis", cfg.cache.self_hosted))
        self.snapshots = self._snapshots() if self.running else None
        self.secrets = {store_scripts.STORES[store.kind].credential: credential(store) for store in self.running}
        self.register_outputs({})

    def address_of(self, kind: str) -> pulumi.Output[str] | None:
        """The `http://` address of a store, None where it isn't self-hosted."""
        found = next((store for store in self.running if store.kind == kind), None)
        return pulumi.Output.concat("http://", found.address, f":{found.port}") if found else None

    def _single(self, kind: str, size: Store) -> RunningStore:
        """A store on one instance."""
        spec, token, group = store_scripts.STORES[kind], self._token(kind), self._group(kind)
        (host,) = self._hosts(kind, size, group, self._profile(kind, token), count=1)
        host.start(spec.script(self._site.region, token.arn, size.image, self._agent(kind)), after=None)
        return RunningStore(kind, group, host.address, spec.port, token.value)

    def _qdrant(self, size: VectorStore) -> RunningStore:
        """A cluster, spread over the zones; from two instances on behind one address."""
        spec, token, group = store_scripts.STORES["qdrant"], self._token("qdrant"), self._group("qdrant")
        hosts = self._hosts("qdrant", size, group, self._profile("qdrant", token), size.instances)
        first, started = hosts[0], None
        for host in hosts:
            joins = store_scripts.peer_command(host.address, None if host is first else first.address)
            agent, options = self._agent("qdrant"), store_scripts.cluster_options(size)
            script = spec.script(self._site.region, token.arn, size.image, agent, options, joins)
            started = host.start(script, after=started)
        if len(hosts) == 1:
            return RunningStore("qdrant", group, first.address, spec.port, token.value)
        name = f"{self._name}-qdrant"
        firewall.connect(
            f"{name}-peers",
            source=group,
            target=group,
            port=store_scripts.PEER_PORT,
            description="Qdrant among itself",
            parent=self,
        )
        front = StoreBalancerArgs(
            vpc_id=self._args.vpc_id,
            subnet_ids=self._args.subnet_ids,
            hosts=group,
            addresses=[host.address for host in hosts],
            port=spec.port,
            health_path="/readyz",  # asks for no key
        )
        one = StoreBalancer(name, self._site, front, opts=self._child)
        return RunningStore("qdrant", one.security_group_id, one.address, spec.port, token.value)

    def _hosts(
        self, kind: str, size: Store, group: pulumi.Input[str], profile: pulumi.Input[str], count: int
    ) -> list[StoreHost]:
        """Instances in turn over the zones; the first one carries the store's own name."""
        args, zones = self._args, len(self._args.subnet_ids)
        return [
            StoreHost(
                f"{self._name}-{kind}" + (f"-{number}" if number else ""),
                self._site,
                HostArgs(
                    kind=kind,
                    size=size,
                    subnet_id=args.subnet_ids[number % zones],
                    zone=args.zones[number % zones],
                    group=group,
                    profile=profile,
                    key_arn=args.key_arn,
                    backup=self._name,
                ),
                opts=self._child,
            )
            for number in range(count)
        ]

    def _agent(self, kind: str) -> str:
        return store_scripts.agent_settings(self._namespace, kind)

    def _token(self, kind: str) -> _Credential:
        name = f"{self._name}-{kind}-token"
        token = GeneratedToken(name, opts=self._site.stateful(self))
        place = aws.secretsmanager.Secret(
            name,
            name_prefix=f"rag/{self._site.stack}/{kind}-token-",
            description=f"What {kind} itself is started with",
            kms_key_id=self._args.key_arn,
            recovery_window_in_days=30 if self._site.protect else 0,
            opts=self._site.stateful(self),
        )
        aws.secretsmanager.SecretVersion(name, secret_id=place.id, secret_string=token.value, opts=self._child)
        return _Credential(token.value, place.arn)

    def _group(self, kind: str) -> pulumi.Output[str]:
        name = f"{self._name}-{kind}-host"
        group = firewall.group(name, self._args.vpc_id, f"{kind}: from the service only", self)
        firewall.out_to_internet(name, group, UPDATES, self)
        return group

    def _profile(self, kind: str, token: _Credential) -> pulumi.Output[str]:
        """What the instances of a store may do: read its credential, say how full its volume is, take a session."""
        name = f"{self._name}-{kind}-host"
        host = role(
            name,
            description="The instances of a data store",
            trust=trusted_by(self._site, "ec2.amazonaws.com"),
            statements=[
                allow(["secretsmanager:GetSecretValue"], [token.arn]),
                allow(["kms:Decrypt"], [self._args.key_arn]),
                # it has no resource to name
                allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": self._namespace}}),
            ],
            parent=self,
        )
        aws.iam.RolePolicyAttachment(
            f"{self._name}-{kind}-session", role=host.name, policy_arn=SESSION_POLICY, opts=self._child
        )
        profile: pulumi.Output[str] = aws.iam.InstanceProfile(name, role=host.name, opts=self._child).name
        return profile

    def _snapshots(self) -> pulumi.Output[str]:
        worker = role(
            f"{self._name}-snapshots",
            description="Makes and deletes snapshots of the data volumes",
            trust=trusted_by(self._site, "dlm.amazonaws.com"),
            statements=[
                allow(["ec2:CreateSnapshot", "ec2:CreateSnapshots"], [self._site.arn("ec2", "volume/*")]),
                allow(
                    ["ec2:CreateSnapshot", "ec2:CreateSnapshots", "ec2:DeleteSnapshot", "ec2:CreateTags"],
                    [f"arn:aws:ec2:{self._site.region}::snapshot/*"],
                ),
                # describe calls have no resource to name
                allow(["ec2:DescribeVolumes", "ec2:DescribeInstances", "ec2:DescribeSnapshots"], ["*"]),
            ],
            parent=self,
        )
        policy = aws.dlm.LifecyclePolicy(
            f"{self._name}-snapshots",
            description=f"Daily snapshots of the stack {self._site.stack}",
            execution_role_arn=worker.arn,
            state="ENABLED",
            policy_details={
                "resource_types": ["VOLUME"],
                "target_tags": {"backup": self._name},
                "schedules": [
                    {
                        "name": "daily",
                        "create_rule": {"interval": 24, "interval_unit": "HOURS", "times": "03:00"},
                        "retain_rule": {"count": SNAPSHOTS_KEPT},
                        "copy_tags": True,
                    }
                ],
            },
            opts=self._child,
        )
        made: pulumi.Output[str] = policy.id
        return made


def credential(store: RunningStore) -> pulumi.Output[str]:
    """What the service is handed: a key, or a whole address with the key in it."""
    address = store_scripts.STORES[store.kind].address
    return pulumi.Output.secret(
        pulumi.Output.format(address, token=store.token, host=store.address, port=str(store.port))
    )
