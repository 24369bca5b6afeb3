"""The public name: a certificate that DNS validates, and the alias record of what answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.config.workload import Domain


class PublicName(pulumi.ComponentResource):
    """A certificate for the name.

    Attributes:
        certificate_arn: the validated certificate.
        proof: name of the record that validates it.
    """

    certificate_arn: pulumi.Output[str]
    proof: pulumi.Output[str]

    def __init__(self, name: str, domain: Domain, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:PublicName", name, None, opts)
        self._name, self._domain = name, domain
        child = pulumi.ResourceOptions(parent=self)
        zone = aws.route53.get_zone_output(name=domain.zone, opts=pulumi.InvokeOptions(parent=self))
        self._zone_id = zone.zone_id
        certificate = aws.acm.Certificate(
            f"{name}-certificate",
            domain_name=domain.name,
            validation_method="DNS",
            options={"certificate_transparency_logging_preference": "ENABLED"},
            opts=child,
        )
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{name}-proof",
            zone_id=self._zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,
            allow_overwrite=True,  # a second stack under the same name has the same proof
            opts=child,
        )
        validation = aws.acm.CertificateValidation(
            f"{name}-validated",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=child,
        )
        self.certificate_arn, self.proof = validation.certificate_arn, record.fqdn
        self.register_outputs({"certificateArn": self.certificate_arn})

    def alias(self, dns_name: pulumi.Input[str], zone_id: pulumi.Input[str]) -> aws.route53.Record:
        """The address record of the public name."""
        return aws.route53.Record(
            f"{self._name}-address",
            zone_id=self._zone_id,
            name=self._domain.name,
            type="A",
            aliases=[{"name": dns_name, "zone_id": zone_id, "evaluate_target_health": True}],
            opts=pulumi.ResourceOptions(parent=self),
        )
