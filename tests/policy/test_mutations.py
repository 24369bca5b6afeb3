"""One safe field is flipped at a time in the plan of `prod`: nine in ten must be caught, and the rest is listed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from infra.policies import pack
from infra.policies.rules import Resource
from tests.policy import bad_functions
from tests.policy.test_rules import GRADUAL, resources_of

STORES = {
    "retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 2, "replicas": 2}},
    "network": {"zones": 2},
}
OFF: dict[bool, bool] = {True: False, False: True}
GONE = bad_functions.GONE
# type -> path of a safe field -> what it is flipped to; `[]` is every item of a list, JSON texts are looked into
FLIPS: dict[str, dict[str, Any]] = {
    "ecs/service:Service": {
        "deploymentCircuitBreaker.enable": False,
        "deploymentCircuitBreaker.rollback": False,
        "alarms.enable": False,
        "alarms.rollback": False,
        "alarms.alarmNames": [],
        "availabilityZoneRebalancing": "DISABLED",
        "deploymentMinimumHealthyPercent": 0,
        "enableExecuteCommand": True,
        "healthCheckGracePeriodSeconds": 0,
        "networkConfiguration.assignPublicIp": True,
        "waitForSteadyState": True,
    },
    "ecs/taskDefinition:TaskDefinition": {
        "networkMode": "host",
        "executionRoleArn": GONE,
        "taskRoleArn": GONE,
        "containerDefinitions.[].image": "registry.example.com/rag:latest",
        "containerDefinitions.[].privileged": True,
        "containerDefinitions.[].readonlyRootFilesystem": False,
        "containerDefinitions.[].user": "root",
        "containerDefinitions.[].stopTimeout": 20,
        "containerDefinitions.[].linuxParameters.capabilities.drop": [],
        "containerDefinitions.[].linuxParameters.initProcessEnabled": False,
        "containerDefinitions.[].logConfiguration": GONE,
        "containerDefinitions.[].logConfiguration.options.mode": "blocking",
        "containerDefinitions.[].environment": [{"name": "QDRANT_APIKEY", "value": "planted"}],
    },
    "ecs/cluster:Cluster": {
        "settings": GONE,
        "configuration.executeCommandConfiguration.kmsKeyId": GONE,
        "configuration.executeCommandConfiguration.logging": "NONE",
        "configuration.executeCommandConfiguration.logConfiguration.cloudWatchEncryptionEnabled": False,
        "configuration.executeCommandConfiguration.logConfiguration.cloudWatchLogGroupName": GONE,
    },
    "lb/loadBalancer:LoadBalancer": {
        "accessLogs.enabled": False,
        "desyncMitigationMode": "monitor",
        "dropInvalidHeaderFields": False,
        "enableDeletionProtection": False,
        "idleTimeout": 20,
        "internal": OFF,
    },
    "lb/listener:Listener": {
        "sslPolicy": "ELBSecurityPolicy-2016-08",
        "protocol": "HTTP",
        "defaultActions.[].redirect": GONE,
    },
    "lb/targetGroup:TargetGroup": {
        "deregistrationDelay": 300,
        "healthCheck.interval": 60,
        "healthCheck.unhealthyThreshold": 10,
    },
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "description": GONE,
        "ipProtocol": "-1",
        "fromPort": 22,
        "referencedSecurityGroupId": GONE,
    },
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": {"description": GONE, "ipProtocol": "-1"},
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": {"ingress": [{"protocol": "-1"}], "egress": [{"protocol": "-1"}]},
    "ec2/subnet:Subnet": {"mapPublicIpOnLaunch": True},
    "ec2/flowLog:FlowLog": {"trafficType": "REJECT"},
    "ec2/instance:Instance": {
        "metadataOptions.httpTokens": "optional",
        "metadataOptions.httpPutResponseHopLimit": 2,
        "rootBlockDevice.encrypted": False,
    },
    "ebs/volume:Volume": {"encrypted": False, "kmsKeyId": GONE, "tags.backup": GONE},
    "dlm/lifecyclePolicy:LifecyclePolicy": {"state": "DISABLED"},
    "elasticache/replicationGroup:ReplicationGroup": {
        "atRestEncryptionEnabled": False,
        "transitEncryptionEnabled": False,
        "authToken": GONE,
        "kmsKeyId": GONE,
        "automaticFailoverEnabled": False,
        "multiAzEnabled": False,
    },
    "ecr/repository:Repository": {
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration.scanOnPush": False,
        "encryptionConfigurations": GONE,
    },
    "secretsmanager/secret:Secret": {"kmsKeyId": GONE, "recoveryWindowInDays": 0},
    "cloudwatch/logGroup:LogGroup": {"kmsKeyId": GONE, "retentionInDays": GONE},
    "cloudwatch/metricAlarm:MetricAlarm": {"alarmActions": [], "alarmDescription": GONE},
    "cloudwatch/compositeAlarm:CompositeAlarm": {"alarmActions": [], "alarmDescription": GONE},
    "kms/key:Key": {"enableKeyRotation": False, "policy.Statement.[].Condition": GONE},
    "sns/topic:Topic": {"kmsMasterKeyId": GONE},
    "sns/topicPolicy:TopicPolicy": {"policy.Statement.[].Condition": GONE},
    "iam/role:Role": {"assumeRolePolicy.Statement.[].Condition": GONE},
    "iam/rolePolicy:RolePolicy": {"policy.Statement.[].Action": ["*"]},
    "budgets/budget:Budget": {"notifications": []},
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {
        "blockPublicAcls": False,
        "blockPublicPolicy": False,
        "ignorePublicAcls": False,
        "restrictPublicBuckets": False,
    },
    "s3/bucketPolicy:BucketPolicy": {"policy.Statement.[].Effect": "Allow"},
    "s3/bucketOwnershipControls:BucketOwnershipControls": {"rule.objectOwnership": "ObjectWriter"},
    "s3/bucketVersioning:BucketVersioning": {"versioningConfiguration.status": "Suspended"},
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "rules.[].applyServerSideEncryptionByDefault.sseAlgorithm": "AES256"
    },
    "wafv2/webAcl:WebAcl": {"rules": [], "rules.[].action": {"count": {}}, "rules.[].overrideAction": {"count": {}}},
    "wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": {"redactedFields": []},
}
# what no rule catches, and why none should
SURVIVORS = {
    "enableExecuteCommand": "a named key, ecs.exec, opens it on purpose; sessions are on record",
    "enableDeletionProtection": "follows the key protect, which a stack is destroyed by",
    "recoveryWindowInDays": "follows the key protect, so that a stack can be made again under its name",
    "internal": "the front door faces the internet on purpose, and may be put inside",
    "kmsKeyId": "a volume without a key of its own is encrypted with the account's",
}


def flipped(props: Any, path: list[str], value: Any) -> bool:
    """Flip the field; whether it was there and is another now."""
    step, rest = path[0], path[1:]
    if step == "[]":
        return sum(flipped(item, rest, value) for item in props) > 0  # a sum: every item is flipped
    if step not in props:
        return False
    if rest:
        inner = props[step]
        text = isinstance(inner, str)
        inner = json.loads(inner) if text else inner
        changed = flipped(inner, rest, value)
        props[step] = json.dumps(inner) if text else inner
        return changed
    old = props[step]
    if value is GONE:
        del props[step]
        return True
    props[step] = value[old] if value is OFF else value
    return bool(props[step] != old)


def mutants(plan: list[Resource], flips: dict[str, dict[str, Any]] = FLIPS) -> Iterator[tuple[str, list[Resource]]]:
    """Each flip by its name, and the plan with it."""
    for number, resource in enumerate(plan):
        for path, value in flips.get(resource.type.removeprefix("aws:"), {}).items():
            props = copy.deepcopy(dict(resource.props))
            if flipped(props, path.split("."), value):
                changed = Resource(resource.type, resource.name, props, resource.tags)
                yield f"{resource.name} {path}", [*plan[:number], changed, *plan[number + 1 :]]


def test_nine_flips_in_ten_are_caught_and_the_survivors_are_known() -> None:
    plan = resources_of("prod", **STORES)
    assert pack.violations(plan) == []
    found = {name: bool(pack.violations(mutant)) for name, mutant in mutants(plan)}
    survivors = {name for name, caught in found.items() if not caught}
    score = 1 - len(survivors) / len(found)
    assert len(found) >= 120
    assert score >= 0.9
    assert {name.partition(" ")[2] for name in survivors} == set(SURVIVORS)


def test_every_listed_field_is_in_the_plan() -> None:
    plan = resources_of("prod", **STORES)
    for kind, fields in FLIPS.items():
        for path, value in fields.items():
            props = [copy.deepcopy(dict(each.props)) for each in plan if each.type.endswith(kind)]
            assert any(flipped(each, path.split("."), value) for each in props), (kind, path)


FUNCTION_SURVIVORS = {
    "function reservedConcurrentExecutions": "a named key, lambda.reservedConcurrency, takes the limit away on purpose",
    "api disableExecuteApiEndpoint": "follows the domain: without one it is the only address",
    "canary timeout": "nobody waits for its answer",
    "cost-rate timeout": "nobody waits for its answer",
}


def test_flips_of_a_function_and_its_api_are_caught_too() -> None:
    plan = resources_of("prod", **GRADUAL)
    flipped_plans = ((name, mutant) for name, mutant in mutants(plan, bad_functions.FLIPS) if "-redeploy" not in name)
    found = {name.removeprefix("rag-platform-prod-"): bool(pack.violations(mutant)) for name, mutant in flipped_plans}
    assert {name.partition(" ")[2] for name in found} == {
        path for each in bad_functions.FLIPS.values() for path in each
    }
    assert {name for name, caught in found.items() if not caught} == set(FUNCTION_SURVIVORS)
