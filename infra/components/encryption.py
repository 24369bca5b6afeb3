"""One customer-managed key for the stack's data at rest: secrets, logs, images, buckets, topics, cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.components.permissions import document

if TYPE_CHECKING:
    from infra.components.account import Site

USE = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey"]


class EncryptionKey(pulumi.ComponentResource):
    """The key and its alias; IAM decides who in the account may use it, AWS services only on the account's behalf."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:EncryptionKey", name, None, opts)
        account_root = pulumi.Output.concat("arn:aws:iam::", site.account, ":root")
        logs = _service(
            f"logs.{site.region}.amazonaws.com",
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": site.arn("logs", "log-group:*")}},
        )
        notices = [
            _service(service, {"StringEquals": {"aws:SourceAccount": site.account}})
            for service in (
                "cloudwatch.amazonaws.com",
                "budgets.amazonaws.com",
                "costalerts.amazonaws.com",
                "events.amazonaws.com",
            )
        ]
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Data of the stack {site.stack}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if site.protect else 7,
            policy=document(
                {"Effect": "Allow", "Principal": {"AWS": account_root}, "Action": "kms:*", "Resource": "*"},
                logs,
                *notices,
            ),
            opts=site.stateful(self),
        )
        aws.kms.Alias(
            f"{name}-alias", name=f"alias/{name}", target_key_id=key.key_id, opts=pulumi.ResourceOptions(parent=self)
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def _service(service: str, condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": USE,
        "Resource": "*",
        "Condition": condition,
    }
