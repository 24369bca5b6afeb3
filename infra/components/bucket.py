"""A private bucket: encrypted, versioned, TLS only, never public, old versions expire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.permissions import Statement, document

if TYPE_CHECKING:
    from infra.components.account import Site

ACCESS_LOG = "logging.s3.amazonaws.com"  # writes the access logs of other buckets


@dataclass(frozen=True)
class BucketArgs:
    """What differs between buckets.

    Attributes:
        key_arn: encrypts the objects; None takes S3's own keys (load balancer logs can't use another).
        log_bucket: takes the access log, with `<name>/` as prefix.
        expire_days: objects are deleted after so many days; None keeps them.
        writer: an AWS service that may put objects.
        noncurrent_days: versions that were replaced or deleted are kept for so many days.
    """

    key_arn: pulumi.Input[str] | None = None
    log_bucket: PrivateBucket | None = None
    expire_days: int | None = None
    writer: str | None = None
    noncurrent_days: int = 30


class PrivateBucket(pulumi.ComponentResource):
    """A bucket with every guard on."""

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]
    ready: pulumi.Resource

    def __init__(self, name: str, site: Site, args: BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:PrivateBucket", name, None, opts)
        self._name = name
        child = pulumi.ResourceOptions(parent=self)
        made = aws.s3.Bucket(name, force_destroy=not site.protect, opts=site.stateful(self))
        self.bucket, self.arn = made.bucket, made.arn
        aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption", bucket=self.bucket, rules=[_encryption(args.key_arn)], opts=child
        )
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=self.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-owner", bucket=self.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        )
        aws.s3.BucketLifecycleConfiguration(f"{name}-lifecycle", bucket=self.bucket, rules=_lifecycle(args), opts=child)
        if args.log_bucket is not None:
            aws.s3.BucketLogging(
                f"{name}-log",
                bucket=self.bucket,
                target_bucket=args.log_bucket.bucket,
                target_prefix=f"{name}/",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[args.log_bucket.ready]),
            )
        self.ready = aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket,
            policy=document(*self._statements(site, args.writer)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})

    def _statements(self, site: Site, writer: str | None) -> list[Statement]:
        objects = pulumi.Output.concat(self.arn, "/*")
        tls_only: Statement = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": [self.arn, objects],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        writers = [] if writer is None else dict.fromkeys([writer, ACCESS_LOG])
        return [tls_only, *(_delivery(site, service, objects) for service in writers)]


def _delivery(site: Site, service: str, objects: pulumi.Input[str]) -> Statement:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "s3:PutObject",
        "Resource": objects,
        "Condition": {"StringEquals": {"aws:SourceAccount": site.account}},
    }


def _encryption(key_arn: pulumi.Input[str] | None) -> dict[str, Any]:
    if key_arn is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn},
        "bucket_key_enabled": True,
    }


def _lifecycle(args: BucketArgs) -> list[dict[str, Any]]:
    tidy: dict[str, Any] = {
        "id": "tidy",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        "noncurrent_version_expiration": {"noncurrent_days": args.noncurrent_days},
    }
    return [tidy | ({"expiration": {"days": args.expire_days}} if args.expire_days else {})]
