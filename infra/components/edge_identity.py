"""The role that edge hosts take, and by what they are recognised: an identity of AWS, or a certificate of your CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import Statement, document, role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.components.account import Site
    from infra.config.edge_cloud import Identity

SESSION_S = 3600
BY_CERTIFICATE = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]  # what Roles Anywhere asks for


class EdgeIdentity(pulumi.ComponentResource):
    """No key of AWS exists anywhere: a host's sessions last an hour.

    Attributes:
        role_arn: of the role.
        anchor_arn: of the trust anchor, with certificates.
        profile_arn: of the profile of Roles Anywhere, with certificates.
    """

    role_arn: pulumi.Output[str]
    anchor_arn: pulumi.Output[str] | None = None
    profile_arn: pulumi.Output[str] | None = None

    def __init__(
        self,
        name: str,
        site: Site,
        config: Identity,
        statements: Sequence[Statement],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rag-platform:component:EdgeIdentity", name, None, opts)
        self._name, self._site, self._config = name, site, config
        made = role(
            f"{name}-edge",
            description=f"Edge hosts of the stack {site.stack}",
            trust=self._by_certificate() if config.kind == "roles-anywhere" else self._by_identity(),
            statements=statements,
            parent=self,
        )
        self.role_arn = made.arn
        if config.kind == "roles-anywhere":
            profile = aws.rolesanywhere.Profile(
                f"{name}-edge",
                name=f"{name}-edge",
                role_arns=[made.arn],
                duration_seconds=SESSION_S,
                enabled=True,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.profile_arn = profile.arn
        self.register_outputs({"roleArn": self.role_arn})

    def _by_identity(self) -> pulumi.Output[str]:
        """The named principal; else the account's own IAM decides, by who is allowed sts:AssumeRole on the role."""
        account = pulumi.Output.concat("arn:aws:iam::", self._site.account, ":root")
        principal = self._config.principal_arn or account
        return document({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"})

    def _by_certificate(self) -> pulumi.Output[str]:
        """Certificates of these names, issued by this authority, and no others of the account's anchors."""
        self.anchor_arn = self._anchor()
        return document(
            {
                "Effect": "Allow",
                "Principal": {"Service": "rolesanywhere.amazonaws.com"},
                "Action": BY_CERTIFICATE,
                "Condition": {
                    "StringEquals": {
                        "aws:PrincipalTag/x509Subject/CN": list(self._config.subjects),
                        "aws:SourceAccount": self._site.account,
                    },
                    "ArnEquals": {"aws:SourceArn": self.anchor_arn},
                },
            }
        )

    def _anchor(self) -> pulumi.Output[str]:
        given = self._config.trust_anchor_arn
        if given is not None:
            return pulumi.Output.from_input(given)
        anchor = aws.rolesanywhere.TrustAnchor(
            f"{self._name}-edge",
            name=f"{self._name}-edge",
            enabled=True,
            source={
                "source_type": "CERTIFICATE_BUNDLE",
                "source_data": {"x509_certificate_data": self._config.certificate_authority},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        arn: pulumi.Output[str] = anchor.arn
        return arn
