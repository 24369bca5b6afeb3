"""One instance of a self-hosted store: its data on a volume and its address on an interface that both outlive it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.sizing import architecture_of

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.config.workload import Store

AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"  # AWS keeps the newest one there
DEVICE = "/dev/sdf"


@dataclass(frozen=True)
class HostArgs:
    """What an instance is built from.

    Attributes:
        kind: qdrant, mongo or redis.
        size: instance type and disk.
        subnet_id: a private subnet.
        zone: the zone of that subnet; the volume lives there.
        group: its security group.
        profile: its instance profile.
        key_arn: encrypts the volume.
        backup: value of the tag by which snapshots are made.
    """

    kind: str
    size: Store
    subnet_id: pulumi.Input[str]
    zone: pulumi.Input[str]
    group: pulumi.Input[str]
    profile: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    backup: str


class StoreHost(pulumi.ComponentResource):
    """`address` is known before the instance is there; `start` makes the instance."""

    address: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:StoreHost", name, None, opts)
        self._name, self._args = name, args
        self._interface = aws.ec2.NetworkInterface(
            f"{name}-address",
            subnet_id=args.subnet_id,
            security_groups=[args.group],
            description=f"Address of {args.kind}",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._volume = aws.ebs.Volume(
            f"{name}-data",
            availability_zone=args.zone,
            size=args.size.disk_gib,
            type="gp3",
            encrypted=True,
            kms_key_id=args.key_arn,
            tags={"Name": f"{name}-data", "backup": args.backup, "store": args.kind},
            opts=site.stateful(self),
        )
        self.address = self._interface.private_ip
        self.register_outputs({"address": self.address})

    def start(self, script: pulumi.Input[str], after: pulumi.Resource | None) -> pulumi.Resource:
        """Boot the instance with this user data; what comes `after` it makes a change go from one to the next."""
        name, args = self._name, self._args
        image = AMI.format(architecture=architecture_of(args.size.instance_type))
        instance = aws.ec2.Instance(
            f"{name}-host",
            ami=aws.ssm.get_parameter_output(name=image, opts=pulumi.InvokeOptions(parent=self)).value,
            instance_type=args.size.instance_type,
            iam_instance_profile=args.profile,
            network_interfaces=[{"network_interface_id": self._interface.id, "device_index": 0}],
            metadata_options={"http_tokens": "required", "http_endpoint": "enabled", "http_put_response_hop_limit": 1},
            root_block_device={"volume_type": "gp3", "volume_size": 20, "encrypted": True},
            ebs_optimized=True,
            user_data=script,
            user_data_replace_on_change=True,
            tags={"Name": f"{name}-host"},
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,  # the volume and the address can be in one place only
                ignore_changes=["ami"],  # a newer image is no reason to stop a database
                depends_on=[after] if after else None,
            ),
        )
        attached: pulumi.Resource = aws.ec2.VolumeAttachment(
            f"{name}-data",
            device_name=DEVICE,
            volume_id=self._volume.id,
            instance_id=instance.id,
            stop_instance_before_detaching=True,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return attached
