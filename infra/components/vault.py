"""Secrets Manager: one secret per credential, encrypted with the stack's key; handed on by ARN only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.components.account import Site


class Vault(pulumi.ComponentResource):
    """A credential without a value yet gets its place only.

    Attributes:
        arns: name of the credential -> ARN of its secret.
        filled: what a workload must wait for; a new value changes no ARN and deploys nothing.
    """

    arns: dict[str, pulumi.Output[str]]
    filled: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        site: Site,
        key_arn: pulumi.Input[str],
        values: Mapping[str, pulumi.Input[str] | None],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rag-platform:component:Vault", name, None, opts)
        self.filled = []
        self.arns = {
            credential: self._secret(f"{name}-{credential}", site, key_arn, credential, value)
            for credential, value in values.items()
        }
        self.register_outputs({"arns": self.arns})

    def references(self, wanted: Mapping[str, str]) -> pulumi.Output[str]:
        """For RAG_SECRETS_FROM: environment name -> ARN, of environment name -> credential."""
        return pulumi.Output.json_dumps({name: self.arns[credential] for name, credential in wanted.items()})

    def _secret(
        self, name: str, site: Site, key_arn: pulumi.Input[str], credential: str, value: pulumi.Input[str] | None
    ) -> pulumi.Output[str]:
        secret = aws.secretsmanager.Secret(
            name,
            name_prefix=f"rag/{site.stack}/{credential}-",
            description=f"{credential} of the stack {site.stack}",
            kms_key_id=key_arn,
            recovery_window_in_days=30 if site.protect else 0,
            opts=site.stateful(self),
        )
        if value is not None:
            version = aws.secretsmanager.SecretVersion(
                name,
                secret_id=secret.id,
                secret_string=pulumi.Output.secret(value),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.filled.append(version)
        arn: pulumi.Output[str] = secret.arn
        return arn
