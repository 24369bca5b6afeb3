"""Rules about data, permissions and money: encrypted, least privilege, tagged, budgeted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.policies.rules import Found, Resource, ResourceRule, StackRule, listed, of_type, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
POLICY = "aws:iam/policy:Policy"
REPOSITORY = "aws:ecr/repository:Repository"
SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type token
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
VOLUME = "aws:ebs/volume:Volume"
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
KEY = "aws:kms/key:Key"
BUDGET = "aws:budgets/budget:Budget"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
TARGETS = "aws:lb/targetGroup:TargetGroup"
SNAPSHOTS = "aws:dlm/lifecyclePolicy:LifecyclePolicy"
REQUIRED_TAGS = ("project", "stack", "topology")
UNTAGGED = {  # types of the stacks here that AWS gives no tags
    "aws:appautoscaling/policy:Policy",
    "aws:appautoscaling/scheduledAction:ScheduledAction",
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:autoscaling/group:Group",
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
NO_RESOURCE = {  # actions that name no resource
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
    "logs:DescribeLogGroups",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


def _statements(policy: Resource) -> list[dict[str, Any]]:
    found = parsed(policy.props.get("policy") or "{}").get("Statement", [])
    return [statement for statement in found if statement.get("Effect") == "Allow"]


def least_privilege(policy: Resource) -> Found:
    """Actions are named, resources too where the action has one."""
    for statement in _statements(policy):
        actions = listed(statement.get("Action"))
        wild = [action for action in actions if "*" in action]
        if wild:
            yield f"allows {', '.join(wild)}"
        elif "*" in listed(statement.get("Resource")) and not set(actions) <= NO_RESOURCE:
            yield f"allows {', '.join(sorted(set(actions) - NO_RESOURCE))} on every resource"


def invoke_only_named_endpoint(policy: Resource) -> Found:
    """The service calls its own model, not the account's."""
    for statement in _statements(policy):
        if any(action.startswith("sagemaker:Invoke") for action in listed(statement.get("Action"))):
            for resource in listed(statement.get("Resource")):
                name = resource.rpartition("/")[2]
                if name in {"", "*", resource}:
                    yield f"may invoke {resource}"


def images_fixed(repository: Resource) -> Found:
    """A digest that was scanned is what runs."""
    if repository.props.get("imageTagMutability") != "IMMUTABLE":
        yield "tags can move"
    if not (repository.props.get("imageScanningConfiguration") or {}).get("scanOnPush"):
        yield "images aren't scanned"


def secret_has_own_key(secret: Resource) -> Found:
    """Secrets are encrypted with the stack's key."""
    if not secret.props.get("kmsKeyId"):
        yield "is encrypted with the account's default key"


def logs_kept_and_encrypted(group: Resource) -> Found:
    """Logs end, and nobody else reads them."""
    if not group.props.get("retentionInDays"):
        yield "is kept for ever"
    if not group.props.get("kmsKeyId"):
        yield "isn't encrypted with the stack's key"


def volume_encrypted(volume: Resource) -> Found:
    """Data at rest is unreadable without the key."""
    if not volume.props.get("encrypted"):
        yield "isn't encrypted"


def metadata_by_token(host: Resource) -> Found:
    """A request forged through the service can't read the instance's credentials."""
    if (host.props.get("metadataOptions") or {}).get("httpTokens") != "required":
        yield "answers metadata requests without a token"


def cache_encrypted(cache: Resource) -> Found:
    """Cached answers are as private as the documents."""
    for key in ("transitEncryptionEnabled", "atRestEncryptionEnabled"):
        if not cache.props.get(key):
            yield f"{key} is off"


def key_rotates(key: Resource) -> Found:
    """Key material is renewed every year."""
    if not key.props.get("enableKeyRotation"):
        yield "isn't rotated"


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


def deregistration_below_stop_timeout(resources: Sequence[Resource]) -> Found:
    """The balancer lets go before the task is killed, and after the last answer."""
    stops = [
        container.get("stopTimeout", 30)
        for task in of_type(resources, TASK)
        for container in parsed(task.props.get("containerDefinitions") or "[]")
    ]
    for targets in of_type(resources, TARGETS):
        delay = float(targets.props.get("deregistrationDelay", 300))
        if stops and delay >= min(stops):
            yield f"{targets.name}: deregistration takes {delay:g} s, the task is killed after {min(stops)} s"


def data_volumes_have_snapshots(resources: Sequence[Resource]) -> Found:
    """Data that stands alone is backed up."""
    covered = [
        dict((each.props.get("policyDetails") or {}).get("targetTags") or {}) for each in of_type(resources, SNAPSHOTS)
    ]
    for volume in of_type(resources, VOLUME):
        tags = volume.props.get("tags") or {}
        if not any(target and target.items() <= dict(tags).items() for target in covered):
            yield f"{volume.name}: no lifecycle policy makes snapshots of it"


def _rule(name: str, check: Callable[[Resource], Found], fix: str, *kinds: str) -> ResourceRule:
    return ResourceRule(name, (check.__doc__ or "").strip(), kinds, check, fix)


def _stack_rule(name: str, check: Callable[[Sequence[Resource]], Found], fix: str) -> StackRule:
    return StackRule(name, (check.__doc__ or "").strip(), check, fix)


RULES = (
    _rule("iam-least-privilege", least_privilege, "name the actions and resources", ROLE_POLICY, POLICY),
    _rule("iam-invoke-only-named-endpoint", invoke_only_named_endpoint, "name the endpoint", ROLE_POLICY, POLICY),
    _rule("images-fixed", images_fixed, "set IMMUTABLE and scanOnPush", REPOSITORY),
    _rule("secret-own-key", secret_has_own_key, "set kmsKeyId", SECRET),
    _rule("logs-kept-and-encrypted", logs_kept_and_encrypted, "set retentionInDays and kmsKeyId", LOG_GROUP),
    _rule("volume-encrypted", volume_encrypted, "set encrypted", VOLUME),
    _rule("metadata-by-token", metadata_by_token, "set httpTokens to required", INSTANCE, TEMPLATE),
    _rule("cache-encrypted", cache_encrypted, "switch both on", CACHE),
    _rule("key-rotates", key_rotates, "set enableKeyRotation", KEY),
    ResourceRule(
        "every-resource-tagged",
        (tagged.__doc__ or "").strip(),
        ("*",),
        tagged,
        "use the stack's provider: it tags everything",
        _with_tags,
    ),
)
STACK_RULES = (
    _stack_rule("budget-exists", budget_exists, "set budget.monthlyUsd"),
    _stack_rule(
        "deregistration-below-stop-timeout", deregistration_below_stop_timeout, "set deregistrationDelay to 30"
    ),
    _stack_rule("volumes-have-snapshots", data_volumes_have_snapshots, "tag the volume for a lifecycle policy"),
)
