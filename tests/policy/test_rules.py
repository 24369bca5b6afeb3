"""The policy pack: our own stacks break no rule, and every rule catches a bad stack that no other rule catches."""

import copy
import json
from typing import Any

import pytest
from pulumi_policy import proxy

from infra.policies import pack
from infra.policies.rules import Resource
from tests.infra.cloud_cases import program
from tests.policy.bad_clusters import ADDED
from tests.policy.bad_clusters import BAD as BAD_CLUSTER
from tests.policy.bad_functions import BAD as BAD_FUNCTION
from tests.policy.bad_functions import Break, put

SELF_HOSTED = {"retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 2, "replicas": 2}}}
SIDECAR = {
    "service": {"cpu": 4, "memoryGiB": 8},
    "generation": {
        "provider": "llamacpp",
        "model": "/models/small.gguf",
        "llamacpp": {"image": "registry.example.com/llama@sha256:" + "2" * 64},
    },
}
LAMBDA = {"topology": "lambda"}
EKS = {"topology": "eks"}
GRADUAL = {**LAMBDA, "lambda": {"rollout": "canary", "provisionedConcurrency": 1}}


def resources_of(stack: str, **more: Any) -> list[Resource]:
    declared = program(stack, **more)
    provider = declared.one("pulumi:providers:aws").inputs
    return [
        Resource(each.type, each.name, dict(each.inputs), pack.tags_of(each.inputs, provider))
        for each in declared.resources
    ]


@pytest.fixture(scope="module")
def good() -> list[Resource]:
    return resources_of("prod", **SELF_HOSTED)


@pytest.mark.parametrize(
    ("stack", "more"),
    [
        ("dev", {}),
        ("prod", {}),
        ("prod", SELF_HOSTED),
        ("prod", {"ecs": {"capacity": "ec2", "instanceType": "t3.large"}}),
        ("prod", {"ecs": {"exec": True}}),
        ("prod", SIDECAR),
        ("dev", LAMBDA),
        ("prod", LAMBDA),
        ("prod", GRADUAL),
        ("prod", {**LAMBDA, **SELF_HOSTED}),
        ("prod", {"monitoring": {"slack": {"workspaceId": "T1", "channelId": "C1"}}, "budget": {"hourlyUsd": 5}}),
        ("dev", EKS),
        ("prod", {**EKS, **SELF_HOSTED, "documents": {"mongo": "self-hosted"}}),
        ("prod", {**EKS, "eks": {"mode": "auto"}}),
    ],
)
def test_our_own_stacks_break_no_rule(stack: str, more: dict[str, Any]) -> None:
    assert pack.violations(resources_of(stack, **more)) == []


@pytest.mark.parametrize("more", [SELF_HOSTED, {"ecs": {"capacity": "ec2", "instanceType": "t3.large"}}])
def test_rules_read_inputs_as_the_engine_hands_them_over(more: dict[str, Any]) -> None:
    declared = program("prod", **more)
    provider = declared.one("pulumi:providers:aws").inputs
    handed = [(each, proxy.unknown_checking_proxy(dict(each.inputs))) for each in declared.resources]
    seen = [Resource(each.type, each.name, props, pack.tags_of(props, provider)) for each, props in handed]
    assert pack.violations(seen) == []


def container(path: str, value: Any) -> Break:
    """Sets one field of the container definition."""

    def break_it(props: dict[str, Any]) -> None:
        (definition,) = json.loads(props["containerDefinitions"])
        put(path, value)(definition)
        props["containerDefinitions"] = json.dumps([definition])

    return break_it


def plain_key(props: dict[str, Any]) -> None:
    (definition,) = json.loads(props["containerDefinitions"])
    definition["environment"].append({"name": "OPENAI_API_KEY", "value": "x"})
    props["containerDefinitions"] = json.dumps([definition])


def statement(**fields: Any) -> Break:
    """Adds a statement to a policy."""

    def break_it(props: dict[str, Any]) -> None:
        policy = json.loads(props["policy"])
        policy["Statement"].append({"Effect": "Allow", **fields})
        props["policy"] = json.dumps(policy)

    return break_it


def port(number: int) -> Break:
    """Opens another port."""

    def break_it(props: dict[str, Any]) -> None:
        props["fromPort"] = props["toPort"] = number

    return break_it


def unbound(field: str) -> Break:
    """Takes the conditions out of a policy's statements for services."""

    def break_it(props: dict[str, Any]) -> None:
        policy = json.loads(props[field])
        for each in policy["Statement"]:
            if "Service" in each["Principal"]:
                del each["Condition"]
        props[field] = json.dumps(policy)

    return break_it


def counting(props: dict[str, Any]) -> None:
    """The firewall's managed groups count and let through."""
    for each in props["rules"]:
        if "overrideAction" in each:
            each["overrideAction"] = {"count": {}}


def no_deny(props: dict[str, Any]) -> None:
    policy = json.loads(props["policy"])
    policy["Statement"] = [each for each in policy["Statement"] if each["Effect"] != "Deny"]
    props["policy"] = json.dumps(policy)


ONE_INVOKE = {"Action": ["sagemaker:InvokeEndpoint"], "Resource": ["arn:aws:sagemaker:x:1:endpoint/twin-*"]}
HTTP = [{"type": "forward", "targetGroupArn": "x"}]
# rule -> the type (and the end of the name) of one good resource, and the one field that is broken
BAD: dict[str, tuple[str, str, Break]] = {
    "ecs-breaker-on-with-rollback": ("ecs/service:Service", "", put("deploymentCircuitBreaker.rollback", value=False)),
    "ecs-alarms-roll-back": ("ecs/service:Service", "", put("alarms.rollback", value=False)),
    "ecs-no-public-address": ("ecs/service:Service", "", put("networkConfiguration.assignPublicIp", value=True)),
    "ecs-no-capacity-drop": ("ecs/service:Service", "", put("deploymentMinimumHealthyPercent", 50)),
    "ecs-stop-timeout-covers-deadline": (
        "TaskDefinition",
        "",
        container("environment", [{"name": "RAG_DEADLINE_S", "value": "50"}]),
    ),
    "image-by-digest": ("TaskDefinition", "", container("image", "registry.example.com/rag:1")),
    "no-plain-secret": ("TaskDefinition", "", plain_key),
    "ecs-read-only-root": ("TaskDefinition", "", container("readonlyRootFilesystem", value=False)),
    "ecs-not-root": ("TaskDefinition", "", container("user", "0")),
    "ecs-logs": ("TaskDefinition", "", container("logConfiguration", None)),
    "ecs-zones-rebalanced": ("ecs/service:Service", "", put("availabilityZoneRebalancing", "DISABLED")),
    "ecs-grace-covers-start": ("ecs/service:Service", "", put("healthCheckGracePeriodSeconds", 0)),
    "ecs-honest-deployment": ("ecs/service:Service", "", put("waitForSteadyState", value=True)),
    "ecs-no-capabilities": ("TaskDefinition", "", container("linuxParameters.capabilities", {"add": ["SYS_ADMIN"]})),
    "ecs-two-roles": ("TaskDefinition", "", put("taskRoleArn", None)),
    "ecs-own-address": ("TaskDefinition", "", put("networkMode", "bridge")),
    "ecs-sessions-on-record": ("ecs/cluster:Cluster", "", put("configuration", None)),
    "ecs-insights": ("ecs/cluster:Cluster", "", put("settings", None)),
    "tls-only": ("listener:Listener", "redirect", put("defaultActions", HTTP)),
    "drop-invalid-headers": ("loadBalancer:LoadBalancer", "prod-lb", put("dropInvalidHeaderFields", None)),
    "layer-4-internal": ("loadBalancer:LoadBalancer", "qdrant-front", put("internal", value=False)),
    "access-log": ("loadBalancer:LoadBalancer", "prod-lb", put("accessLogs", None)),
    "idle-above-deadline": ("loadBalancer:LoadBalancer", "prod-lb", put("idleTimeout", 20)),
    "only-front-door-open": ("SecurityGroupIngressRule", "in-443-0.0.0.0-0", port(9090)),
    "openings-narrow": ("SecurityGroupIngressRule", "tasks-cache-in", put("toPort", 9090)),
    "no-inline-rules": ("ec2/securityGroup:SecurityGroup", "-tasks", put("egress", [{"protocol": "-1"}])),
    "ports-named": ("SecurityGroupEgressRule", "tasks-out-443", put("ipProtocol", "-1")),
    "openings-described": ("SecurityGroupEgressRule", "tasks-out-443", put("description", None)),
    "default-group-closed": ("DefaultSecurityGroup", "", put("ingress", [{"protocol": "-1"}])),
    "no-public-addresses": ("ec2/subnet:Subnet", "public-0", put("mapPublicIpOnLaunch", value=True)),
    "desync-mitigated": ("loadBalancer:LoadBalancer", "prod-lb", put("desyncMitigationMode", "monitor")),
    "sick-targets-found": ("TargetGroup", "prod-targets", put("healthCheck.interval", 30)),
    "flows-recorded": ("FlowLog", "", put("trafficType", "REJECT")),
    "known-attacks-blocked": ("webAcl:WebAcl", "", counting),
    "keys-not-logged": ("WebAclLoggingConfiguration", "", put("redactedFields", None)),
    "bucket-without-acl": ("BucketOwnershipControls", "weights-owner", put("rule.objectOwnership", "ObjectWriter")),
    "bucket-versioned": (
        "BucketVersioning",
        "weights-versioning",
        put("versioningConfiguration.status", "Suspended"),
    ),
    "bucket-encrypted": (
        "BucketServerSideEncryptionConfiguration",
        "weights-encryption",
        put("rules", [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]),
    ),
    "topic-encrypted": ("topic:Topic", "prod-pager", put("kmsMasterKeyId", None)),
    "iam-trust-bound": ("iam/role:Role", "prod-task", unbound("assumeRolePolicy")),
    "writers-bound": ("TopicPolicy", "prod-pager-policy", unbound("policy")),
    "alarm-heard": ("MetricAlarm", "prod-errors", put("alarmActions", [])),
    "alarm-runbook": ("MetricAlarm", "prod-errors", put("alarmDescription", "Something is wrong")),
    "images-own-key": ("repository:Repository", "", put("encryptionConfigurations", None)),
    "host-disk-encrypted": ("ec2/instance:Instance", "qdrant-host", put("rootBlockDevice.encrypted", value=False)),
    "cache-fails-over": ("ReplicationGroup", "", put("automaticFailoverEnabled", value=False)),
    "bucket-private": ("BucketPublicAccessBlock", "weights-private", put("blockPublicPolicy", value=False)),
    "bucket-tls-only": ("BucketPolicy", "weights-policy", no_deny),
    "iam-least-privilege": ("RolePolicy", "-task-policy", statement(Action=["s3:GetObject"], Resource=["*"])),
    "iam-invoke-only-named-endpoint": ("RolePolicy", "-task-policy", statement(**ONE_INVOKE)),
    "images-fixed": ("repository:Repository", "", put("imageTagMutability", "MUTABLE")),
    "secret-own-key": ("secretsmanager/secret:Secret", "apiKeys", put("kmsKeyId", None)),
    "logs-kept-and-encrypted": ("LogGroup", "prod-service", put("retentionInDays", None)),
    "volume-encrypted": ("ebs/volume:Volume", "qdrant-data", put("encrypted", value=False)),
    "metadata-by-token": ("ec2/instance:Instance", "qdrant-host", put("metadataOptions.httpTokens", "optional")),
    "cache-encrypted": ("ReplicationGroup", "", put("transitEncryptionEnabled", value=False)),
    "key-rotates": ("kms/key:Key", "", put("enableKeyRotation", value=False)),
    "budget-exists": ("budget:Budget", "", put("notifications", [])),
    "deregistration-below-stop-timeout": ("TargetGroup", "prod-targets", put("deregistrationDelay", 300)),
    "volumes-have-snapshots": (
        "ebs/volume:Volume",
        "qdrant-data",
        put("tags", {"project": "p", "stack": "s", "topology": "t"}),
    ),
}


@pytest.mark.parametrize("rule", BAD)
def test_one_broken_field_is_caught_by_this_rule_alone(rule: str, good: list[Resource]) -> None:
    kind, name, break_it = BAD[rule]
    bad = copy.deepcopy(good)
    (broken,) = [each for each in bad if each.type.endswith(kind) and each.name.endswith(name)]
    break_it(broken.props)  # type: ignore[arg-type]
    assert {found for found, _ in pack.violations(bad)} == {rule}


@pytest.fixture(scope="module")
def good_function() -> list[Resource]:
    return resources_of("prod", **GRADUAL)


@pytest.mark.parametrize("rule", BAD_FUNCTION)
def test_one_broken_field_of_a_function_is_caught_by_this_rule_alone(rule: str, good_function: list[Resource]) -> None:
    kind, name, break_it = BAD_FUNCTION[rule]
    bad = copy.deepcopy(good_function)
    (broken,) = [each for each in bad if each.type.endswith(kind) and each.name.endswith(name)]
    break_it(broken.props)  # type: ignore[arg-type]
    assert {found for found, _ in pack.violations(bad)} == {rule}


@pytest.fixture(scope="module")
def good_cluster() -> list[Resource]:
    return resources_of("prod", **EKS, **SELF_HOSTED)


@pytest.mark.parametrize("rule", BAD_CLUSTER)
def test_one_broken_field_of_a_cluster_is_caught_by_this_rule_alone(rule: str, good_cluster: list[Resource]) -> None:
    kind, name, break_it = BAD_CLUSTER[rule]
    bad = copy.deepcopy(good_cluster)
    (broken,) = [each for each in bad if each.type.endswith(kind) and each.name.endswith(name)]
    break_it(broken.props)  # type: ignore[arg-type]
    assert {found for found, _ in pack.violations(bad)} == {rule}


@pytest.mark.parametrize("rule", ADDED)
def test_one_object_too_many_in_a_cluster_is_caught_by_this_rule_alone(rule: str, good_cluster: list[Resource]) -> None:
    assert {found for found, _ in pack.violations([*good_cluster, ADDED[rule]])} == {rule}


def test_auto_mode_without_the_switch_of_its_network_policies_is_caught() -> None:
    auto = resources_of("prod", **EKS, eks={"mode": "auto"})
    without = [each for each in auto if not each.name.endswith("-network-policies")]
    assert len(without) == len(auto) - 1
    assert {found for found, _ in pack.violations(without)} == {"eks-policies-enforced"}


def test_an_untagged_resource_is_caught(good: list[Resource]) -> None:
    bad = [Resource(each.type, each.name, each.props, {}) for each in good if each.type.endswith("cluster:Cluster")]
    assert {name for name, _ in pack.violations([*good, *bad])} == {"every-resource-tagged"}


def test_every_rule_has_its_bad_stack() -> None:
    rules = {rule.name for rule in (*pack.RESOURCE_RULES, *pack.STACK_RULES)}
    assert rules == BAD.keys() | BAD_FUNCTION.keys() | BAD_CLUSTER.keys() | ADDED.keys() | {"every-resource-tagged"}


def test_a_remedy_makes_the_resource_right(good: list[Resource]) -> None:
    for rule in pack.RESOURCE_RULES:
        if rule.remedy is None or rule.name not in BAD:
            continue
        kind, name, break_it = BAD[rule.name]
        (broken,) = [copy.deepcopy(each) for each in good if each.type.endswith(kind) and each.name.endswith(name)]
        break_it(broken.props)  # type: ignore[arg-type]
        changed = rule.remedy(broken)
        assert changed is not None
        mended = Resource(broken.type, broken.name, {**broken.props, **changed}, broken.tags)
        assert list(rule.check(mended)) == []


def test_missing_tags_are_put_right_from_the_urn() -> None:
    (rule,) = [each for each in pack.RESOURCE_RULES if each.name == "every-resource-tagged"]
    assert rule.remedy is not None
    kind = "aws:ecs/cluster:Cluster"
    urn = f"urn:pulumi:dev::rag-platform::rag-platform:topology:Ecs$rag-platform:component:EcsCluster${kind}::c"
    changed = rule.remedy(Resource(kind, "c", {"tags": {"owner": "me"}}, {"owner": "me"}, urn))
    assert changed == {"tags": {"project": "rag-platform", "stack": "dev", "topology": "ecs", "owner": "me"}}


def test_names_of_rules_are_unique_and_their_descriptions_are_sentences() -> None:
    rules = [*pack.RESOURCE_RULES, *pack.STACK_RULES]
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.description.endswith(".") and rule.fix for rule in rules)
