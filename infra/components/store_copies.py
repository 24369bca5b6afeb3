"""Copies of self-hosted stores in a bucket, made by the service's own image: who may make them, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra.components.bucket import BucketArgs, PrivateBucket
from infra.components.data_stores import SNAPSHOTS_KEPT
from infra.components.permissions import allow, role, trusted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.components.permissions import Statement
    from infra.config import StackConfig


@dataclass(frozen=True)
class CopiesArgs:
    """What copies are made with.

    Attributes:
        secrets: ARNs of the stores' credentials, which the task is started with.
        key_arn: encrypts bucket and secrets.
        log_bucket: takes the bucket's access log.
    """

    secrets: Sequence[pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    log_bucket: PrivateBucket


def kinds(cfg: StackConfig) -> list[str]:
    """The self-hosted stores whose data is worth a copy; what a cache holds may be lost."""
    chosen = {"mongo": cfg.documents.mongo, "qdrant": cfg.retrieval.qdrant}
    return [kind for kind, where in chosen.items() if where == "self-hosted"]


def on_one_host(cfg: StackConfig) -> list[str]:
    """Those that one address gives whole: a cluster's snapshot holds the shards of one node."""
    alone = cfg.retrieval.self_hosted.instances == 1
    return [kind for kind in kinds(cfg) if kind != "qdrant" or alone]


class StoreCopies(pulumi.ComponentResource):
    """`place` is where copies are kept, `role` the ARN of what a task makes and takes them with."""

    place: pulumi.Output[str]
    role: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: CopiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:StoreCopies", name, None, opts)
        kept = bucket(name, site, args.key_arn, args.log_bucket, self)
        self.place = place_of(kept, site)
        self.role = role(
            f"{name}-copies",
            description="Saves the data stores in a bucket, and puts them back",
            trust=trusted_by(site, "ecs-tasks.amazonaws.com"),
            statements=rights(kept.arn, args.secrets, args.key_arn),
            parent=self,
        ).arn
        self.register_outputs({"place": self.place, "role": self.role})


def bucket(
    name: str, site: Site, key_arn: pulumi.Input[str], log_bucket: PrivateBucket, parent: pulumi.Resource
) -> PrivateBucket:
    """The bucket of copies; one stays as long as a snapshot does."""
    args = BucketArgs(key_arn=key_arn, log_bucket=log_bucket, expire_days=SNAPSHOTS_KEPT)
    return PrivateBucket(f"{name}-backups", site, args, opts=pulumi.ResourceOptions(parent=parent))


def place_of(kept: PrivateBucket, site: Site) -> pulumi.Output[str]:
    """The address under which a stack's copies are."""
    return pulumi.Output.concat("s3://", kept.bucket, "/", site.stack)


def rights(
    bucket_arn: pulumi.Input[str], secrets: Sequence[pulumi.Input[str]], key_arn: pulumi.Input[str]
) -> list[Statement]:
    """What a copy needs: its bucket, and the credentials of the stores."""
    objects = pulumi.Output.concat(bucket_arn, "/*")
    return [
        allow(["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"], [objects]),
        allow(["secretsmanager:GetSecretValue"], list(secrets)),
        allow(["kms:Decrypt", "kms:GenerateDataKey"], [key_arn]),
    ]
