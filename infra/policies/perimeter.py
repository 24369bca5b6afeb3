"""Rules about the network's edge: TLS only, nothing but the front door open, nothing public that holds data."""

from __future__ import annotations

from typing import Any

from infra.policies.rules import Found, Resource, listed, rule, statements

LISTENER = "aws:lb/listener:Listener"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
SUBNET = "aws:ec2/subnet:Subnet"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
TARGETS = "aws:lb/targetGroup:TargetGroup"
FLOW = "aws:ec2/flowLog:FlowLog"
WAF = "aws:wafv2/webAcl:WebAcl"
WAF_LOG = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
KNOWN_BAD = "AWSManagedRulesKnownBadInputsRuleSet"
DETECTED_S = 30  # a sick target gets requests no longer than this
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
    redirects = [
        each.get("type") == "redirect" and (each.get("redirect") or {}).get("protocol") == "HTTPS"
        for each in listener.props.get("defaultActions") or []
    ]
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


def desync_mitigated(balancer: Resource) -> Found:
    """A request that two servers would split differently is refused."""
    if _speaks_http(balancer) and balancer.props.get("desyncMitigationMode", "defensive") == "monitor":
        yield "only watches for requests that are read differently further on"


def access_logged(balancer: Resource) -> Found:
    """Who called is on record."""
    if _speaks_http(balancer) and not (balancer.props.get("accessLogs") or {}).get("enabled"):
        yield "writes no access log"


def idle_above_deadline(balancer: Resource) -> Found:
    """The balancer outwaits the slowest answer."""
    idle = balancer.props.get("idleTimeout", 60)
    if _speaks_http(balancer) and idle <= 25:  # noqa: PLR2004 - the request deadline
        yield f"idleTimeout {idle:g} s is not above the request deadline of 25 s"


def only_the_front_door_is_open(opening: Resource) -> Found:
    """The internet reaches ports 80 and 443 and no other."""
    if {opening.props.get("cidrIpv4"), opening.props.get("cidrIpv6")} & WORLD:
        ports = {opening.props.get("fromPort"), opening.props.get("toPort")}
        if not ports <= FRONT_PORTS:
            yield f"opens ports {sorted(map(str, ports))} to the internet"


def openings_name_their_source(opening: Resource) -> Found:
    """Each opening says who comes in, through one port."""
    sources = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
    if not any(opening.props.get(source) for source in sources):
        yield "names no source"
    first, last = opening.props.get("fromPort"), opening.props.get("toPort")
    if first != last:
        yield f"opens the ports from {first} to {last}"


def groups_hold_no_rules(group: Resource) -> Found:
    """Rules are resources of their own, each with a reason."""
    if group.props.get("ingress") or group.props.get("egress"):
        yield "has inline rules"


def ports_named(opening: Resource) -> Found:
    """Connections are TCP, to named ports."""
    if opening.props.get("ipProtocol") in {"-1", "all"}:
        yield "allows every protocol and port"


def openings_described(opening: Resource) -> Found:
    """Each opening says what for."""
    if not opening.props.get("description"):
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
        for statement in statements(policy.props.get("policy"))
        if statement.get("Effect") == "Deny"
        and "false" in listed((statement.get("Condition") or {}).get("Bool", {}).get("aws:SecureTransport"))
    ]
    if not denied:
        yield "doesn't refuse plain HTTP"


def bucket_has_no_acl(ownership: Resource) -> Found:
    """Policies alone say who may read."""
    if (ownership.props.get("rule") or {}).get("objectOwnership") != "BucketOwnerEnforced":
        yield "lets access lists grant more"


def sick_targets_found(targets: Resource) -> Found:
    """A target that fails is left out within half a minute."""
    check = targets.props.get("healthCheck") or {}
    takes = float(check.get("interval", 30)) * float(check.get("unhealthyThreshold", 3))
    if takes > DETECTED_S:
        yield f"finds a sick target after {takes:g} s"


def flows_recorded(flow: Resource) -> Found:
    """What was let through is on record too."""
    if flow.props.get("trafficType") != "ALL":
        yield f"records {flow.props.get('trafficType')} only"


def known_attacks_blocked(acl: Resource) -> Found:
    """Known attacks and single callers who flood are blocked."""
    found = acl.props.get("rules") or []
    groups = [(each.get("statement") or {}).get("managedRuleGroupStatement") for each in found]
    blocking = {group["name"] for group, each in zip(groups, found, strict=True) if group and _enforced(each)}
    if KNOWN_BAD not in blocking:
        yield f"doesn't block by {KNOWN_BAD}"
    rates = [each for each in found if (each.get("statement") or {}).get("rateBasedStatement")]
    if not any("block" in (each.get("action") or {}) for each in rates):
        yield "has no rate that blocks"


def _enforced(group: dict[str, Any]) -> bool:
    return "none" in (group.get("overrideAction") or {})


def keys_not_logged(logging: Resource) -> Found:
    """The firewall's log holds no caller's key."""
    hidden = {
        (each.get("singleHeader") or {}).get("name", "").lower() for each in logging.props.get("redactedFields") or []
    }
    for header in sorted({"authorization", "x-api-key"} - hidden):
        yield f"logs the header {header}"


def _drop_headers(balancer: Resource) -> dict[str, Any] | None:
    return {"dropInvalidHeaderFields": True} if any(True for _ in headers_dropped(balancer)) else None


RULES = (
    rule("tls-only", tls_only, "set domain in the stack config", LISTENER),
    rule("drop-invalid-headers", headers_dropped, "set dropInvalidHeaderFields", BALANCER, remedy=_drop_headers),
    rule("desync-mitigated", desync_mitigated, "set desyncMitigationMode to defensive", BALANCER),
    rule("layer-4-internal", layer_4_internal, "set internal", BALANCER),
    rule("access-log", access_logged, "set accessLogs", BALANCER),
    rule("idle-above-deadline", idle_above_deadline, "raise idleTimeout", BALANCER),
    rule("sick-targets-found", sick_targets_found, "set interval 10 and unhealthyThreshold 2", TARGETS),
    rule("only-front-door-open", only_the_front_door_is_open, "name the security group or network", INGRESS),
    rule("openings-narrow", openings_name_their_source, "name one source and one port", INGRESS),
    rule("no-inline-rules", groups_hold_no_rules, "use SecurityGroupIngressRule and -EgressRule", GROUP),
    rule("ports-named", ports_named, "name protocol and port", INGRESS, EGRESS),
    rule("openings-described", openings_described, "say what the opening is for", INGRESS, EGRESS),
    rule("default-group-closed", default_group_closed, "leave ingress and egress empty", DEFAULT_GROUP),
    rule("no-public-addresses", no_public_addresses, "set mapPublicIpOnLaunch to false", SUBNET),
    rule("flows-recorded", flows_recorded, "set trafficType to ALL", FLOW),
    rule("known-attacks-blocked", known_attacks_blocked, "keep the managed groups and the rate", WAF),
    rule("keys-not-logged", keys_not_logged, "redact the header", WAF_LOG),
    rule("bucket-private", bucket_private, "switch all four on", BLOCK),
    rule("bucket-tls-only", bucket_tls_only, "deny aws:SecureTransport false", BUCKET_POLICY),
    rule("bucket-without-acl", bucket_has_no_acl, "set BucketOwnerEnforced", OWNERSHIP),
)
