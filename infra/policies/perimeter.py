"""Rules about the network's edge: TLS only, nothing but the front door open, nothing public that holds data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.policies.rules import Found, Resource, ResourceRule, listed, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

LISTENER = "aws:lb/listener:Listener"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
SUBNET = "aws:ec2/subnet:Subnet"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
FRONT_PORTS = {80, 443}
WORLD = {"0.0.0.0/0", "::/0"}


def tls_only(listener: Resource) -> Found:
    """Plain HTTP redirects; TLS starts at 1.2."""
    if listener.props.get("protocol") == "TCP":
        return  # of a network balancer, which layer-4-internal keeps inside
    if listener.props.get("protocol") == "HTTPS":
        policy = str(listener.props.get("sslPolicy") or "")
        if not policy.startswith(("ELBSecurityPolicy-TLS13-1-2", "ELBSecurityPolicy-TLS13-1-3")):
            yield f"TLS policy {policy or '(the default)'} allows old versions"
        return
    redirects = [each.get("type") == "redirect" for each in listener.props.get("defaultActions") or []]
    if not all(redirects) and listener.tags.get("environment") != "development":
        yield "answers plain HTTP"


def _speaks_http(balancer: Resource) -> bool:
    return bool(balancer.props.get("loadBalancerType", "application") == "application")


def layer_4_internal(balancer: Resource) -> Found:
    """A balancer that passes bytes on unread faces no client."""
    if not _speaks_http(balancer) and not balancer.props.get("internal"):
        yield "is a network balancer on the internet"


def headers_dropped(balancer: Resource) -> Found:
    """Requests that two servers would read differently end at the door."""
    if _speaks_http(balancer) and not balancer.props.get("dropInvalidHeaderFields"):
        yield "keeps invalid header fields"


def access_logged(balancer: Resource) -> Found:
    """Who called is on record."""
    if _speaks_http(balancer) and not (balancer.props.get("accessLogs") or {}).get("enabled"):
        yield "writes no access log"


def idle_above_deadline(balancer: Resource) -> Found:
    """The balancer outwaits the slowest answer."""
    idle = balancer.props.get("idleTimeout", 60)
    if _speaks_http(balancer) and idle <= 25:  # noqa: PLR2004 - the request deadline
        yield f"idleTimeout {idle:g} s is not above the request deadline of 25 s"


def only_the_front_door_is_open(rule: Resource) -> Found:
    """The internet reaches ports 80 and 443 and no other."""
    if {rule.props.get("cidrIpv4"), rule.props.get("cidrIpv6")} & WORLD:
        ports = {rule.props.get("fromPort"), rule.props.get("toPort")}
        if not ports <= FRONT_PORTS:
            yield f"opens ports {sorted(map(str, ports))} to the internet"


def groups_hold_no_rules(group: Resource) -> Found:
    """Rules are resources of their own, each with a reason."""
    if group.props.get("ingress") or group.props.get("egress"):
        yield "has inline rules"


def egress_named(rule: Resource) -> Found:
    """Connections out are TCP, to named ports."""
    if rule.props.get("ipProtocol") in {"-1", "all"}:
        yield "allows every protocol and port out"


def rules_described(rule: Resource) -> Found:
    """Each opening says what for."""
    if not rule.props.get("description"):
        yield "has no description"


def default_group_closed(group: Resource) -> Found:
    """Whoever forgets a security group gets one that lets nothing through."""
    if group.props.get("ingress") or group.props.get("egress"):
        yield "lets traffic through"


def no_public_addresses(subnet: Resource) -> Found:
    """No instance gets a public address by accident."""
    if subnet.props.get("mapPublicIpOnLaunch"):
        yield "hands out public addresses"


def bucket_private(block: Resource) -> Found:
    """No bucket can be made public."""
    keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    for key in keys:
        if not block.props.get(key):
            yield f"{key} is off"


def bucket_tls_only(policy: Resource) -> Found:
    """Objects travel encrypted."""
    denied = [
        statement
        for statement in parsed(policy.props.get("policy") or "{}").get("Statement", [])
        if statement.get("Effect") == "Deny"
        and "false" in listed((statement.get("Condition") or {}).get("Bool", {}).get("aws:SecureTransport"))
    ]
    if not denied:
        yield "doesn't refuse plain HTTP"


def _rule(name: str, check: Callable[[Resource], Found], fix: str, *kinds: str) -> ResourceRule:
    return ResourceRule(name, (check.__doc__ or "").strip(), kinds, check, fix)


def _drop_headers(balancer: Resource) -> dict[str, Any] | None:
    return {"dropInvalidHeaderFields": True} if any(True for _ in headers_dropped(balancer)) else None


RULES = (
    _rule("tls-only", tls_only, "set domain in the stack config", LISTENER),
    ResourceRule(
        "drop-invalid-headers",
        (headers_dropped.__doc__ or "").strip(),
        (BALANCER,),
        headers_dropped,
        "set dropInvalidHeaderFields",
        _drop_headers,
    ),
    _rule("layer-4-internal", layer_4_internal, "set internal", BALANCER),
    _rule("access-log", access_logged, "set accessLogs", BALANCER),
    _rule("idle-above-deadline", idle_above_deadline, "raise idleTimeout", BALANCER),
    _rule("only-front-door-open", only_the_front_door_is_open, "name the security group or network", INGRESS),
    _rule("no-inline-rules", groups_hold_no_rules, "use SecurityGroupIngressRule and -EgressRule", GROUP),
    _rule("egress-named", egress_named, "name protocol and port", EGRESS),
    _rule("rules-described", rules_described, "say what the opening is for", INGRESS, EGRESS),
    _rule("default-group-closed", default_group_closed, "leave ingress and egress empty", DEFAULT_GROUP),
    _rule("no-public-addresses", no_public_addresses, "set mapPublicIpOnLaunch to false", SUBNET),
    _rule("bucket-private", bucket_private, "switch all four on", BLOCK),
    _rule("bucket-tls-only", bucket_tls_only, "deny aws:SecureTransport false", BUCKET_POLICY),
)
