"""What the controllers in the cluster may do in AWS. Pure but for the site's account.

Written from what each controller calls (its documentation lists it), and bound to what it makes for this cluster: it
tags whatever it makes with the cluster's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from infra.components.permissions import Statement, allow

if TYPE_CHECKING:
    from infra.components.account import Site

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
BALANCING = "elasticloadbalancing"
# Calls that only read name no resource.
SEEN = [
    *(
        f"ec2:Describe{what}"
        for what in (
            "AccountAttributes",
            "Addresses",
            "AvailabilityZones",
            "Instances",
            "InternetGateways",
            "NetworkInterfaces",
            "RouteTables",
            "SecurityGroups",
            "Subnets",
            "Tags",
            "VpcPeeringConnections",
            "Vpcs",
        )
    ),
    "ec2:GetSecurityGroupsForVpc",
    *(
        f"{BALANCING}:Describe{what}"
        for what in (
            "CapacityReservation",
            "ListenerAttributes",
            "ListenerCertificates",
            "Listeners",
            "LoadBalancerAttributes",
            "LoadBalancers",
            "Rules",
            "SSLPolicies",
            "Tags",
            "TargetGroupAttributes",
            "TargetGroups",
            "TargetHealth",
            "TrustStores",
        )
    ),
]
OWN_BALANCERS = [
    f"{BALANCING}:{what}"
    for what in (
        "DeleteLoadBalancer",
        "DeleteTargetGroup",
        "DeregisterTargets",
        "ModifyCapacityReservation",
        "ModifyIpPools",
        "ModifyLoadBalancerAttributes",
        "ModifyTargetGroup",
        "ModifyTargetGroupAttributes",
        "RegisterTargets",
        "SetIpAddressType",
        "SetSecurityGroups",
        "SetSubnets",
        "SetWebAcl",
        "AddTags",
        "RemoveTags",
    )
]
OWN_LISTENERS = [
    f"{BALANCING}:{what}"
    for what in (
        "AddListenerCertificates",
        "CreateListener",
        "CreateRule",
        "DeleteListener",
        "DeleteRule",
        "ModifyListener",
        "ModifyListenerAttributes",
        "ModifyRule",
        "RemoveListenerCertificates",
        "SetRulePriorities",
    )
]
SCALED = [
    *(
        f"autoscaling:Describe{what}"
        for what in (
            "AutoScalingGroups",
            "AutoScalingInstances",
            "LaunchConfigurations",
            "ScalingActivities",
            "Tags",
        )
    ),
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
]


def load_balancers(site: Site, cluster: str, firewall_arn: pulumi.Input[str] | None) -> list[Statement]:
    """AWS Load Balancer Controller: load balancers of this cluster, their security groups, this stack's firewall."""
    new = {"StringEquals": {f"aws:RequestTag/{CLUSTER_TAG}": cluster}}
    own = {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": cluster}}
    group = site.arn("ec2", "security-group/*")
    balancers = [site.arn(BALANCING, kind) for kind in ("loadbalancer/app/*", "targetgroup/*")]
    listeners = [site.arn(BALANCING, kind) for kind in ("loadbalancer/app/*", "listener/app/*", "listener-rule/app/*")]
    return [
        allow(SEEN, ["*"]),
        allow(["ec2:CreateSecurityGroup"], [group], new),
        allow(["ec2:CreateSecurityGroup"], [site.arn("ec2", "vpc/*")]),
        allow(["ec2:CreateTags"], [group], {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}),
        allow(["ec2:CreateTags", "ec2:DeleteTags", "ec2:DeleteSecurityGroup"], [group], own),
        # into its own groups, and into the nodes', which EKS tags otherwise
        allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"], [group], own),
        allow(
            ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"],
            [group],
            {"StringEquals": {"aws:ResourceTag/aws:eks:cluster-name": cluster}},
        ),
        allow([f"{BALANCING}:CreateLoadBalancer", f"{BALANCING}:CreateTargetGroup"], balancers, new),
        allow(
            [f"{BALANCING}:AddTags"],
            balancers,
            {"StringEquals": {f"{BALANCING}:CreateAction": ["CreateLoadBalancer", "CreateTargetGroup"]}},
        ),
        allow(OWN_BALANCERS, balancers, own),
        allow([*OWN_LISTENERS, f"{BALANCING}:AddTags", f"{BALANCING}:RemoveTags"], listeners, own),
        *_firewall(site, firewall_arn),
    ]


def _firewall(site: Site, arn: pulumi.Input[str] | None) -> list[Statement]:
    """Whether a balancer has a firewall is asked before each change, even where it should have none."""
    asked = [site.arn("wafv2", "regional/webacl/*"), site.arn(BALANCING, "loadbalancer/app/*")]
    balancers = site.arn(BALANCING, "loadbalancer/app/*")
    changed = [allow(["wafv2:AssociateWebACL", "wafv2:GetWebACL"], [arn, balancers])] if arn is not None else []
    # always, or the one that the config has just done without could not be taken away
    return [allow(["wafv2:GetWebACLForResource"], asked), allow(["wafv2:DisassociateWebACL"], [balancers]), *changed]


def tagging(site: Site, cluster: str) -> list[Statement]:
    """Auto Mode's load balancers with the stack's own tags, which AWS's policies for it do not allow."""
    own = {"StringEquals": {"aws:RequestTag/eks:eks-cluster-name": cluster}}
    made = ["CreateLoadBalancer", "CreateTargetGroup", "CreateListener", "CreateRule"]
    kinds = ("loadbalancer/app/*", "targetgroup/*", "listener/app/*", "listener-rule/app/*")
    balancers = [site.arn(BALANCING, kind) for kind in kinds]
    groups = [site.arn("ec2", kind) for kind in ("security-group/*", "vpc/*")]
    return [
        allow([f"{BALANCING}:{each}" for each in made], balancers, own),
        allow([f"{BALANCING}:AddTags"], balancers, {"StringEquals": {f"{BALANCING}:CreateAction": made}}),
        allow(["ec2:CreateSecurityGroup"], groups, own),
        allow(["ec2:CreateTags"], groups[:1], {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}}),
    ]


def autoscaler(site: Site, cluster: str) -> list[Statement]:
    """Cluster Autoscaler: the size of this cluster's node groups."""
    owned: dict[str, Any] = {
        "aws:ResourceTag/k8s.io/cluster-autoscaler/enabled": "true",
        f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned",
    }
    return [
        allow(SCALED, ["*"]),
        allow(["eks:DescribeNodegroup"], [site.arn("eks", f"nodegroup/{cluster}/*/*")]),
        allow(
            ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            [site.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
            {"StringEquals": owned},
        ),
    ]
