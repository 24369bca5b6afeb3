"""The image repository: digests never move, images are scanned and encrypted, old ones expire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import document

if TYPE_CHECKING:
    from infra.components.account import Site

KEPT_IMAGES = 20


def lifecycle_policy(kept: int = KEPT_IMAGES) -> str:
    """Untagged images go after a week, tagged ones when `kept` newer ones exist."""
    rules = [
        _expiry(1, "untagged", "sinceImagePushed", 7) | {"description": "untagged images after a week"},
        _expiry(2, "any", "imageCountMoreThan", kept) | {"description": f"all but the last {kept}"},
    ]
    return json.dumps({"rules": rules})


def _expiry(priority: int, status: str, count_type: str, number: int) -> dict[str, object]:
    selection: dict[str, object] = {"tagStatus": status, "countType": count_type, "countNumber": number}
    if count_type == "sinceImagePushed":
        selection["countUnit"] = "days"
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}


class Registry(pulumi.ComponentResource):
    """One repository for the one image."""

    url: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, site: Site, key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rag-platform:component:Registry", name, None, opts)
        repository = aws.ecr.Repository(
            f"{name}-images",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": key_arn}],
            force_delete=not site.protect,
            opts=site.stateful(self),
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-expiry",
            repository=repository.name,
            policy=lifecycle_policy(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._name, self._repository = name, repository.name
        self.url, self.arn = repository.repository_url, repository.arn
        self.register_outputs({"url": self.url, "arn": self.arn})

    def let_lambda_pull(self, site: Site) -> pulumi.Resource:
        """Lambda itself fetches the images of functions, with nobody's role; a function waits for what this gives."""
        pull = {
            "Sid": "LambdaPulls",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {"StringLike": {"aws:sourceArn": site.arn("lambda", "function:*")}},
        }
        allowed: pulumi.Resource = aws.ecr.RepositoryPolicy(
            f"{self._name}-lambda",
            repository=self._repository,
            policy=document(pull),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return allowed
