"""The front door as the AWS Load Balancer Controller reads it. Pure.

The same decisions as `infra.components.load_balancer`, spelled as annotations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from infra.components import load_balancer as front
from infra.components.kube.objects import Manifest, described

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.config import StackConfig

API = ("/rag", "/search", "/v1")
HEALTH = ("/health", "/livez")
DOCS = ("/docs", "/openapi.json", "/static-offline-docs")
HEALTH_CHECK = {
    "healthcheck-path": "/health",
    "healthcheck-interval-seconds": "10",
    "healthcheck-timeout-seconds": "5",
    "healthy-threshold-count": "2",
    "unhealthy-threshold-count": "2",
    "success-codes": "200",
}
PREFIX = "alb.ingress.kubernetes.io/"


@dataclass(frozen=True)
class FrontArgs:
    """What the load balancer is built from.

    Attributes:
        subnet_ids: public subnets, or private ones for an internal balancer.
        subnet_cidrs: theirs; the balancer's addresses are in them.
        log_bucket: takes the access log.
        certificate_arn: None serves plain HTTP (development only, refused elsewhere by the config).
        waf_arn: the firewall before it.
        cidrs: who may connect.
        prefix_list: connects instead of `cidrs`, where a distribution stands before the balancer.
        ingress_class: of the controller that makes it.
    """

    subnet_ids: Sequence[pulumi.Input[str]]
    subnet_cidrs: Sequence[pulumi.Input[str]]
    log_bucket: pulumi.Input[str]
    certificate_arn: pulumi.Input[str] | None
    waf_arn: pulumi.Input[str] | None
    cidrs: Sequence[str]
    prefix_list: pulumi.Input[str] | None = None
    ingress_class: str = "alb"


def ingress(site: Site, cfg: StackConfig, namespace: pulumi.Input[str], of: str, args: FrontArgs) -> Manifest:
    """Paths of the API to the Service called `of`; what isn't listed here, /metrics above all, is 404."""
    paths = [
        *(_path(path, of, "Prefix") for path in API),
        *(_path(path, of, "Exact") for path in HEALTH),
        *(_path(path, of, "Prefix") for path in DOCS if cfg.access.docs),
    ]
    rule: dict[str, Any] = {"http": {"paths": paths}}
    if cfg.domain is not None:
        rule["host"] = cfg.domain.name
    return described(
        "networking.k8s.io/v1",
        "Ingress",
        of,
        namespace=namespace,
        of=of,
        annotations={PREFIX + name: value for name, value in _annotations(site, args).items()},
        spec={"ingressClassName": args.ingress_class, "rules": [rule]},
    )


def _annotations(site: Site, args: FrontArgs) -> dict[str, pulumi.Input[str]]:
    attributes = pulumi.Output.concat(
        f"idle_timeout.timeout_seconds={front.IDLE_S},routing.http.drop_invalid_header_fields.enabled=true,",
        f"routing.http.desync_mitigation_mode=defensive,deletion_protection.enabled={str(site.protect).lower()},",
        "access_logs.s3.enabled=true,access_logs.s3.prefix=lb,access_logs.s3.bucket=",
        args.log_bucket,
    )
    target = {
        "deregistration_delay.timeout_seconds": front.DEREGISTRATION_S,
        "load_balancing.algorithm.type": "least_outstanding_requests",
    }
    return {
        "scheme": "internet-facing",
        "target-type": "ip",
        "subnets": pulumi.Output.all(*args.subnet_ids).apply(",".join),
        "load-balancer-attributes": attributes,
        "target-group-attributes": ",".join(f"{name}={value}" for name, value in target.items()),
        "tags": ",".join(f"{name}={value}" for name, value in sorted(site.tags.items())),
        **HEALTH_CHECK,
        **_tls(args.certificate_arn),
        **_who(args),
        **({"wafv2-acl-arn": args.waf_arn} if args.waf_arn is not None else {}),
    }


def _tls(certificate_arn: pulumi.Input[str] | None) -> dict[str, pulumi.Input[str]]:
    if certificate_arn is None:
        return {"listen-ports": json.dumps([{"HTTP": 80}])}
    return {
        "listen-ports": json.dumps([{"HTTP": 80}, {"HTTPS": 443}]),
        "ssl-redirect": "443",
        "ssl-policy": front.TLS_POLICY,
        "certificate-arn": certificate_arn,
    }


def _who(args: FrontArgs) -> dict[str, pulumi.Input[str]]:
    if args.prefix_list is not None:
        return {"security-group-prefix-lists": args.prefix_list}
    return {"inbound-cidrs": ",".join(args.cidrs)}


def _path(path: str, service: str, kind: str) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    return {"path": path, "pathType": kind, "backend": backend}
