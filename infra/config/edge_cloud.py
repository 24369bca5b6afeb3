"""Sections of the stack config that say what stands behind an edge in the cloud."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.config.values import Count, Percent, Section, SourceProfile, TrustAnchor, TrustedPrincipal

SEVERAL = "name one of certificateAuthority (its certificate, as PEM) and trustAnchorArn (one that is there)"


class Identity(Section):
    """As whom an edge host asks for the edge's role; none of the two ways keeps a key of AWS on the host.

    assume-role: the host has an identity of its own (an instance's role, SSM's hybrid activation, IAM Identity Center).
    roles-anywhere: the host has a certificate of your certificate authority.
    """

    kind: Literal["assume-role", "roles-anywhere"] = "assume-role"
    principal_arn: TrustedPrincipal | None = None  # absent: whoever in the account has sts:AssumeRole on the role
    source: SourceProfile = "default"  # a profile of the host's credentials file, or Ec2InstanceMetadata, EcsContainer
    certificate_authority: Annotated[str, Field(pattern=r"^\s*-----BEGIN CERTIFICATE-----")] | None = None
    trust_anchor_arn: TrustAnchor | None = None
    subjects: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()  # common names of the certificates
    certificate: Annotated[str, Field(min_length=1)] = "/etc/rag-edge/certificate.pem"  # on the host
    certificate_key: Annotated[str, Field(min_length=1)] = "/etc/rag-edge/certificate.key"  # there and nowhere else
    helper: Annotated[str, Field(min_length=1)] = "/usr/local/bin/aws_signing_helper"  # AWS's, on the host

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "assume-role":
            return self
        if (self.certificate_authority is None) == (self.trust_anchor_arn is None):
            raise ValueError(f"kind is roles-anywhere: {SEVERAL}")
        if not self.subjects:
            raise ValueError("kind is roles-anywhere, but subjects, the common names of the hosts, are missing")
        return self


class BundleStore(Section):
    """Where edges find new bundles."""

    bucket: bool | None = None  # absent: where there is an aws:region
    check_minutes: Count = 15  # between two looks at the bucket
    keep: Count = 5  # bundles; `opsctl export-index` removes older ones
    keep_days: Count = 90  # what was removed can be had again for so long


class EdgeAlarms(Section):
    """When somebody hears of an edge."""

    fallback_percent: Percent = 50  # of the answers came from the cloud
    silent_minutes: Annotated[int, Field(ge=5, le=1440)] = 30  # without a heartbeat
