"""Self-hosted data stores: each on its own instance, its data on a volume that outlives the instance.

The address belongs to a network interface of its own, so a new instance (another size, a new image) comes back under
the same address with the same data. Reachable from the service only; snapshots are made daily and kept for two weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components import firewall, store_scripts
from infra.components.generated import GeneratedToken
from infra.components.permissions import allow, role, trusted_by

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.config import StackConfig
    from infra.config.workload import Store

AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"  # AWS keeps the newest one there
DEVICE = "/dev/sdf"
SNAPSHOTS_KEPT = 14
SESSION_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
UPDATES = {443: "HTTPS: packages, images, AWS"}


@dataclass(frozen=True)
class StoresArgs:
    """Where the stores are.

    Attributes:
        vpc_id: their network.
        subnet_id: a private subnet.
        zone: the zone of that subnet; the volumes live there.
        key_arn: encrypts the volumes.
    """

    vpc_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    zone: pulumi.Input[str]
    key_arn: pulumi.Input[str]


@dataclass(frozen=True)
class RunningStore:
    """A store as its clients see it.

    Attributes:
        kind: qdrant, mongo or redis.
        address: private IP address.
        token: its generated credential, a Pulumi secret.
    """

    kind: str
    security_group_id: pulumi.Output[str]
    address: pulumi.Output[str]
    port: int
    token: pulumi.Output[str]


class DataStores(pulumi.ComponentResource):
    """`running` are the stores that the config wants self-hosted; `secrets` are their credentials for the vault."""

    running: list[RunningStore]
    secrets: dict[str, pulumi.Input[str] | None]

    def __init__(
        self, name: str, site: Site, cfg: StackConfig, args: StoresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:DataStores", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        wanted: dict[str, Store] = {}
        if cfg.retrieval.qdrant == "self-hosted":
            wanted["qdrant"] = cfg.retrieval.self_hosted
        if cfg.documents.mongo == "self-hosted":
            wanted["mongo"] = cfg.documents.self_hosted
        if cfg.cache.redis == "self-hosted":
            wanted["redis"] = cfg.cache.self_hosted
        self.running = [self._store(kind, size) for kind, size in wanted.items()]
        if self.running:
            self._snapshots()
        self.secrets = {store_scripts.STORES[store.kind].credential: _credential(store) for store in self.running}
        self.register_outputs({})

    def address_of(self, kind: str) -> pulumi.Output[str] | None:
        """The `http://` address of a store, None where it isn't self-hosted."""
        found = next((store for store in self.running if store.kind == kind), None)
        return pulumi.Output.concat("http://", found.address, f":{found.port}") if found else None

    def _store(self, kind: str, size: Store) -> RunningStore:
        name, spec = f"{self._name}-{kind}", store_scripts.STORES[kind]
        token = GeneratedToken(f"{name}-token", opts=self._site.stateful(self))
        place = aws.secretsmanager.Secret(
            f"{name}-token",
            name_prefix=f"rag/{self._site.stack}/{kind}-token-",
            description=f"What {kind} itself is started with",
            kms_key_id=self._args.key_arn,
            recovery_window_in_days=30 if self._site.protect else 0,
            opts=self._site.stateful(self),
        )
        aws.secretsmanager.SecretVersion(
            f"{name}-token", secret_id=place.id, secret_string=token.value, opts=self._child
        )
        group = firewall.group(f"{name}-host", self._args.vpc_id, f"{kind}: from the service only", self)
        firewall.out_to_internet(f"{name}-host", group, UPDATES, self)
        interface = aws.ec2.NetworkInterface(
            f"{name}-address",
            subnet_id=self._args.subnet_id,
            security_groups=[group],
            description=f"Address of {kind}",
            opts=self._child,
        )
        volume = self._volume(name, kind, size)
        instance = self._instance(name, size, interface, spec.script(self._site.region, place.arn))
        aws.ec2.VolumeAttachment(
            f"{name}-data",
            device_name=DEVICE,
            volume_id=volume.id,
            instance_id=instance.id,
            stop_instance_before_detaching=True,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self._may_read(name, place.arn)
        return RunningStore(kind, group, interface.private_ip, spec.port, token.value)

    def _volume(self, name: str, kind: str, size: Store) -> aws.ebs.Volume:
        return aws.ebs.Volume(
            f"{name}-data",
            availability_zone=self._args.zone,
            size=size.disk_gib,
            type="gp3",
            encrypted=True,
            kms_key_id=self._args.key_arn,
            tags={"Name": f"{name}-data", "backup": self._name, "store": kind},
            opts=self._site.stateful(self),
        )

    def _instance(
        self, name: str, size: Store, interface: aws.ec2.NetworkInterface, script: pulumi.Output[str]
    ) -> aws.ec2.Instance:
        host = role(
            f"{name}-host",
            description="The instance of a data store",
            trust=trusted_by(self._site, "ec2.amazonaws.com"),
            statements=[],
            parent=self,
        )
        self._host = host
        aws.iam.RolePolicyAttachment(f"{name}-session", role=host.name, policy_arn=SESSION_POLICY, opts=self._child)
        profile = aws.iam.InstanceProfile(f"{name}-host", role=host.name, opts=self._child)
        return aws.ec2.Instance(
            f"{name}-host",
            ami=aws.ssm.get_parameter_output(name=AMI, opts=pulumi.InvokeOptions(parent=self)).value,
            instance_type=size.instance_type,
            iam_instance_profile=profile.name,
            network_interfaces=[{"network_interface_id": interface.id, "device_index": 0}],
            metadata_options={"http_tokens": "required", "http_endpoint": "enabled", "http_put_response_hop_limit": 1},
            root_block_device={"volume_type": "gp3", "volume_size": 20, "encrypted": True},
            ebs_optimized=True,
            user_data=script,
            user_data_replace_on_change=True,
            tags={"Name": f"{name}-host"},
            # the volume and the address can be in one place only; a newer AMI is no reason to stop a database
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, ignore_changes=["ami"]),
        )

    def _may_read(self, name: str, secret_arn: pulumi.Input[str]) -> None:
        from infra.components.permissions import document  # noqa: PLC0415

        aws.iam.RolePolicy(
            f"{name}-token",
            role=self._host.name,
            policy=document(
                allow(["secretsmanager:GetSecretValue"], [secret_arn]), allow(["kms:Decrypt"], [self._args.key_arn])
            ),
            opts=self._child,
        )

    def _snapshots(self) -> None:
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
        aws.dlm.LifecyclePolicy(
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


def _credential(store: RunningStore) -> pulumi.Output[str]:
    """What the service is handed: a key, or a whole address with the key in it."""
    address = store_scripts.STORES[store.kind].address
    return pulumi.Output.secret(
        pulumi.Output.format(address, token=store.token, host=store.address, port=str(store.port))
    )
