"""Where a stack lives: its name, account and region, and the options that stateful resources share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Site:
    """What every component needs to know about its surroundings.

    Attributes:
        stack: the stack's name, part of names that people read.
        account: the AWS account's id.
        region: the AWS region.
        protect: stateful resources are protected, and kept when the stack is destroyed.
        tags: the tags that every resource carries.
    """

    stack: str
    account: pulumi.Output[str]
    region: str
    protect: bool
    tags: Mapping[str, str]

    def arn(self, service: str, resource: pulumi.Input[str]) -> pulumi.Output[str]:
        """ARN of `resource` of `service` in this account and region."""
        return pulumi.Output.concat(f"arn:aws:{service}:{self.region}:", self.account, ":", resource)

    def stateful(self, parent: pulumi.Resource, **more: object) -> pulumi.ResourceOptions:
        """Options of a resource that holds data."""
        kept = pulumi.ResourceOptions(parent=parent, protect=self.protect, retain_on_delete=self.protect)
        return pulumi.ResourceOptions.merge(kept, pulumi.ResourceOptions(**more))  # type: ignore[arg-type]
