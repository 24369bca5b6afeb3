"""CloudFront before the load balancer: TLS near the users; pages that don't change are cached, answers never are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.components.tls_dns import PublicName

HOME_REGION = "us-east-1"  # CloudFront takes certificates from there only
NEVER_CACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's managed policy CachingDisabled
CACHED = "658327ea-f89d-4fab-a63d-7e88639e58f6"  # AWS's managed policy CachingOptimized
WHOLE_REQUEST = "216adef6-5c7f-47e4-b989-5492eafa07d3"  # AWS's managed policy AllViewer: Host and Authorization too
EDGE_ADDRESSES = "com.amazonaws.global.cloudfront.origin-facing"
CALLER_HEADER = "x-caller-address"
# X-Forwarded-For begins with whatever the caller wrote there; this header is overwritten at the edge.
NAME_THE_CALLER = f"""function handler(event) {{
  event.request.headers["{CALLER_HEADER}"] = {{value: event.viewer.ip}};
  return event.request;
}}
"""
STATIC = ("/docs", "/openapi.json")
ORIGIN = "front"


@dataclass(frozen=True)
class CdnArgs:
    """What the distribution is built from.

    Attributes:
        name: the public host name.
        public: its certificate and record in the stack's region.
        origin: DNS name of the load balancer.
        docs: whether there are pages that can be cached.
        tags: the tags of everything.
    """

    name: str
    public: PublicName
    origin: pulumi.Input[str]
    docs: bool
    tags: dict[str, str]


def edge_addresses(parent: pulumi.Resource) -> pulumi.Output[str]:
    """The prefix list of CloudFront's own addresses: the only ones that the load balancer lets in."""
    found = aws.ec2.get_managed_prefix_list_output(name=EDGE_ADDRESSES, opts=pulumi.InvokeOptions(parent=parent))
    identity: pulumi.Output[str] = found.id
    return identity


def behaviour(names_caller: pulumi.Input[str], *, cached: bool) -> dict[str, Any]:
    """How a path is answered; `names_caller` is the ARN of the function that says who asks."""
    methods = ["GET", "HEAD"] if cached else ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    return {
        "target_origin_id": ORIGIN,
        "viewer_protocol_policy": "redirect-to-https",
        "allowed_methods": methods,
        "cached_methods": ["GET", "HEAD"],
        "cache_policy_id": CACHED if cached else NEVER_CACHED,
        "origin_request_policy_id": WHOLE_REQUEST,
        "function_associations": [{"event_type": "viewer-request", "function_arn": names_caller}],
        "compress": cached,  # compressing a stream of events would hold it back
    }


class Cdn(pulumi.ComponentResource):
    """The distribution; `dns_name` and `zone_id` are what the public name points at."""

    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]

    def __init__(self, name: str, args: CdnArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Cdn", name, None, opts)
        names_caller = self._function(name)
        made = aws.cloudfront.Distribution(
            f"{name}-cdn",
            enabled=True,
            is_ipv6_enabled=True,
            http_version="http2and3",
            aliases=[args.name],
            comment=name,
            origins=[
                {
                    "origin_id": ORIGIN,
                    "domain_name": args.origin,
                    "custom_origin_config": {
                        "http_port": 80,
                        "https_port": 443,
                        "origin_protocol_policy": "https-only",
                        "origin_ssl_protocols": ["TLSv1.2"],
                        "origin_read_timeout": 60,  # above the request deadline of 25 s
                        "origin_keepalive_timeout": 55,  # below the load balancer's idle timeout of 60 s
                    },
                }
            ],
            default_cache_behavior=behaviour(names_caller, cached=False),
            ordered_cache_behaviors=[{"path_pattern": path, **behaviour(names_caller, cached=True)} for path in STATIC]
            if args.docs
            else [],
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={
                "acm_certificate_arn": self._certificate(name, args),
                "minimum_protocol_version": "TLSv1.2_2021",
                "ssl_support_method": "sni-only",
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.dns_name, self.zone_id = made.domain_name, made.hosted_zone_id
        self.register_outputs({"dnsName": self.dns_name})

    def _function(self, name: str) -> pulumi.Output[str]:
        """What runs at the edge before a request is passed on."""
        function = aws.cloudfront.Function(
            f"{name}-caller",
            runtime="cloudfront-js-2.0",
            comment="Says who asks, for the firewall's rate",
            code=NAME_THE_CALLER,
            publish=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        arn: pulumi.Output[str] = function.arn
        return arn

    def _certificate(self, name: str, args: CdnArgs) -> pulumi.Output[str]:
        """The same name, proven by the same record, in CloudFront's home region."""
        home = aws.Provider(
            f"{name}-home",
            region=HOME_REGION,
            default_tags={"tags": args.tags},
            opts=pulumi.ResourceOptions(parent=self),
        )
        there = pulumi.ResourceOptions(parent=self, provider=home)
        certificate = aws.acm.Certificate(f"{name}-cdn", domain_name=args.name, validation_method="DNS", opts=there)
        validated = aws.acm.CertificateValidation(
            f"{name}-cdn",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[args.public.proof],
            opts=there,
        )
        arn: pulumi.Output[str] = validated.certificate_arn
        return arn
