"""Rules about a cluster: who reaches it, what it runs, what its nodes are, and that it keeps no secret in the open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.policies.rules import Found, Resource, listed, of_type, rule, stack_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

CLUSTER = "aws:eks/cluster:Cluster"
NODES = "aws:eks/nodeGroup:NodeGroup"
ADDON = "aws:eks/addon:Addon"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
ROLES = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("Role", "ClusterRole"))
BINDINGS = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("RoleBinding", "ClusterRoleBinding"))
RELEASE = "kubernetes:helm.sh/v3:Release"
OLDEST_MINOR = 34  # AWS's release calendar: 1.33 left standard support on 2026-07-29
LOGS = {"api", "audit", "authenticator", "controllerManager", "scheduler"}
WORLD = {"0.0.0.0/0", "::/0"}


def endpoint_is_private(cluster: Resource) -> Found:
    """The API server is reached from inside, and from outside by named networks at the most (EKS.1)."""
    network = cluster.props.get("vpcConfig") or {}
    if not network.get("endpointPrivateAccess"):
        yield "has no private endpoint"
    named = set(listed(network.get("publicAccessCidrs")))
    if network.get("endpointPublicAccess", True) and (not named or named & WORLD):
        yield "is open to the whole internet"


def version_is_supported(cluster: Resource) -> Found:
    """A version that AWS still mends, without the price of extended support (EKS.2)."""
    major, _, minor = str(cluster.props.get("version") or "").partition(".")
    if (major, minor.isdigit() and int(minor) >= OLDEST_MINOR) != ("1", True):
        yield f"runs Kubernetes {major}.{minor}, and not 1.{OLDEST_MINOR} or newer"
    if (cluster.props.get("upgradePolicy") or {}).get("supportType") != "STANDARD":
        yield "would pay for extended support"


def secrets_are_encrypted(cluster: Resource) -> Found:
    """Kubernetes secrets lie encrypted with the stack's own key (EKS.3)."""
    encryption = cluster.props.get("encryptionConfig") or {}
    has_key = (encryption.get("provider") or {}).get("keyArn")
    if not has_key or "secrets" not in listed(encryption.get("resources")):
        yield "keeps its secrets without a key of the stack's"


def control_plane_is_logged(cluster: Resource) -> Found:
    """Who did what in the cluster is on record (EKS.8)."""
    if missing := sorted(LOGS - set(listed(cluster.props.get("enabledClusterLogTypes")))):
        yield f"logs no {', '.join(missing)}"


def access_is_by_entries(cluster: Resource) -> Found:
    """Who may use the cluster is said by access entries, not by an object in it."""
    mode = (cluster.props.get("accessConfig") or {}).get("authenticationMode")
    if mode != "API":
        yield f"takes its users from {mode or 'the ConfigMap aws-auth'}"


def no_aws_auth(found: Resource) -> Found:
    """Nobody is let in by the ConfigMap that AWS has retired."""
    if (found.props.get("metadata") or {}).get("name") == "aws-auth":
        yield "is the ConfigMap aws-auth"


def nodes_are_ours_to_shape(group: Resource) -> Found:
    """Nodes come from a launch template: token-only metadata, an encrypted disk, no SSH."""
    if not (group.props.get("launchTemplate") or {}).get("id"):
        yield "has no launch template"
    if group.props.get("remoteAccess"):
        yield "lets SSH in"


def nodes_change_one_by_one(group: Resource) -> Found:
    """An update takes one node away at a time."""
    update = group.props.get("updateConfig") or {}
    if update.get("maxUnavailable") != 1:
        yield "may lose several nodes at once in an update"


def nodes_span_zones(group: Resource) -> Found:
    """The loss of a zone leaves nodes."""
    if len(set(listed(group.props.get("subnetIds")))) < 2:  # noqa: PLR2004 - zones
        yield "is in one zone"


def named_rights(role: Resource) -> Found:
    """A role in the cluster names verbs and resources."""
    for each in listed(role.props.get("rules")):
        wild = [key for key in ("apiGroups", "resources", "verbs") if "*" in listed(each.get(key))]
        if wild:
            yield f"allows * in {', '.join(wild)}"


def no_administrators(binding: Resource) -> Found:
    """Nothing that runs in the cluster may do everything in it."""
    if (binding.props.get("roleRef") or {}).get("name") == "cluster-admin":
        yield "makes somebody administrator"


def charts_are_pinned(release: Resource) -> Found:
    """A chart can't change by itself."""
    if not release.props.get("version"):
        yield "takes the newest version of its chart"


def policies_are_enforced(clusters: Sequence[Resource]) -> Found:
    """Network policies hold: without an enforcing network they are only text."""
    for cluster in of_type(clusters, CLUSTER):
        if (cluster.props.get("computeConfig") or {}).get("enabled"):
            if not any(map(_switches_policies_on, of_type(clusters, CONFIG_MAP))):
                yield f"{cluster.name} is in Auto Mode and enforces no network policy"
            continue
        networks = [each for each in of_type(clusters, ADDON) if each.props.get("addonName") == "vpc-cni"]
        if not any('"enableNetworkPolicy": "true"' in str(each.props.get("configurationValues")) for each in networks):
            yield f"{cluster.name} enforces no network policy"


def _switches_policies_on(settings: Resource) -> bool:
    named = settings.props.get("metadata") or {}
    told = settings.props.get("data") or {}
    return named.get("name") == "amazon-vpc-cni" and told.get("enable-network-policy-controller") == "true"


RULES = (
    rule("eks-private-endpoint", endpoint_is_private, "set endpointPrivateAccess, and name publicAccessCidrs", CLUSTER),
    rule("eks-supported-version", version_is_supported, "raise eks.version; supportType STANDARD", CLUSTER),
    rule("eks-secrets-encrypted", secrets_are_encrypted, "set encryptionConfig", CLUSTER),
    rule("eks-control-plane-logged", control_plane_is_logged, "set all five enabledClusterLogTypes", CLUSTER),
    rule("eks-access-entries", access_is_by_entries, "set authenticationMode to API", CLUSTER),
    rule("eks-no-aws-auth", no_aws_auth, "add an access entry: eks.admins", CONFIG_MAP),
    rule("eks-nodes-from-template", nodes_are_ours_to_shape, "set launchTemplate, no remoteAccess", NODES),
    rule("eks-nodes-one-by-one", nodes_change_one_by_one, "set updateConfig.maxUnavailable to 1", NODES),
    rule("eks-nodes-span-zones", nodes_span_zones, "give it a subnet of each zone", NODES),
    rule("kube-named-rights", named_rights, "name apiGroups, resources and verbs", *ROLES),
    rule("kube-no-administrators", no_administrators, "bind a role with named rights", *BINDINGS),
    rule("kube-charts-pinned", charts_are_pinned, "set version", RELEASE),
)
STACK_RULES = (
    stack_rule(
        "eks-policies-enforced",
        policies_are_enforced,
        'set enableNetworkPolicy of the add-on to "true"; Auto Mode: amazon-vpc-cni',
    ),
)
