"""Emergency switches: one parameter whose value the operators own; the program declares it and never sets it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import Statement, allow

if TYPE_CHECKING:
    from infra.components.account import Site

ALL_ON = "{}"  # an absent switch is on


class Switches(pulumi.ComponentResource):
    """`address` is what the service is told, `read` what its role needs."""

    address: str
    read: list[Statement]

    def __init__(self, name: str, site: Site, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Switches", name, None, opts)
        path = f"/rag/{site.stack}/switches"
        parameter = aws.ssm.Parameter(
            f"{name}-switches",
            name=path,
            type="String",  # no secret: which stages are off
            value=ALL_ON,
            description='Stages that are switched off, e.g. {"expansion": false, "reranking": false, "cache": false}',
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["value"]),
        )
        self.address = f"ssm:{path}"
        self.read = [allow(["ssm:GetParameter"], [parameter.arn])]
        self.register_outputs({"address": self.address})
