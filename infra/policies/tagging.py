"""Rules about the bill: everything carries its stack's tags, and somebody hears before the money is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.policies.rules import Found, Resource, of_type, rule, stack_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

BUDGET = "aws:budgets/budget:Budget"
REQUIRED_TAGS = ("project", "stack", "topology")
UNTAGGED = {  # types of the stacks here that AWS gives no tags
    "aws:appautoscaling/policy:Policy",
    "aws:appautoscaling/scheduledAction:ScheduledAction",
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:autoscaling/group:Group",
    "aws:cloudfront/function:Function",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:kms/alias:Alias",
    "aws:lb/targetGroupAttachment:TargetGroupAttachment",
    "aws:route53/record:Record",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:wafv2/webAclAssociation:WebAclAssociation",
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
}
TAGGABLE = {  # types whose tags are a plain map: a missing one can be put right without asking
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ecr/repository:Repository",
    "aws:ecs/cluster:Cluster",
    "aws:ecs/service:Service",
    "aws:ecs/taskDefinition:TaskDefinition",
    "aws:iam/role:Role",
    "aws:kms/key:Key",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:lb/targetGroup:TargetGroup",
    "aws:secretsmanager/secret:Secret",
    "aws:sns/topic:Topic",
}


def tagged(resource: Resource) -> Found:
    """The bill can be split by stack."""
    if not resource.type.startswith("aws:") or resource.type in UNTAGGED or resource.type.startswith("aws:s3/bucket"):
        return
    missing = [tag for tag in REQUIRED_TAGS if tag not in resource.tags]
    if missing:
        yield f"has no tag {', '.join(missing)}"


def _with_tags(resource: Resource) -> dict[str, Any] | None:
    """What the URN says: `urn:pulumi:<stack>::<project>::rag-platform:topology:<Topology>$...`."""
    if resource.type not in TAGGABLE or not any(True for _ in tagged(resource)):
        return None
    stack, project, chain = resource.urn.removeprefix("urn:pulumi:").split("::")[:3]
    topology = chain.partition("rag-platform:topology:")[2].partition("$")[0].lower()
    certain = {"project": project, "stack": stack} | ({"topology": topology} if topology else {})
    return {"tags": {**certain, **(resource.props.get("tags") or {})}}


def budget_exists(resources: Sequence[Resource]) -> Found:
    """Somebody hears before the money is gone."""
    aws = [each for each in resources if each.type.startswith("aws:")]
    budgets = [each for each in of_type(resources, BUDGET) if each.props.get("notifications")]
    if aws and not budgets:
        yield "the stack has no budget with notifications"


RULES = (rule("every-resource-tagged", tagged, "use the stack's provider: it tags everything", "*", remedy=_with_tags),)
STACK_RULES = (stack_rule("budget-exists", budget_exists, "set budget.monthlyUsd"),)
