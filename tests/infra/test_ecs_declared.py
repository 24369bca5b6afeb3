"""What is safe or available only because one field says so, field by field: the stack `prod` declares each of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import offline
from tests.infra.cloud_cases import program

# kind, end of the name, path into the inputs (JSON texts are looked into), value
DECLARED: tuple[tuple[str, str, str, Any], ...] = (
    ("ecs/cluster:Cluster", "", "settings.0", {"name": "containerInsights", "value": "enabled"}),
    ("ecs/cluster:Cluster", "", "configuration.executeCommandConfiguration.logging", "OVERRIDE"),
    ("ecs/service:Service", "", "enableExecuteCommand", False),
    ("ecs/service:Service", "", "healthCheckGracePeriodSeconds", 180),
    ("ecs/service:Service", "", "waitForSteadyState", False),
    ("ecs/service:Service", "", "propagateTags", "SERVICE"),
    ("TaskDefinition", "", "containerDefinitions.0.ulimits.0.softLimit", 65536),
    ("TaskDefinition", "", "runtimePlatform.cpuArchitecture", "X86_64"),
    ("TaskDefinition", "", "skipDestroy", True),
    ("targetGroup:TargetGroup", "", "healthCheck.unhealthyThreshold", 2),
    ("targetGroup:TargetGroup", "", "healthCheck.timeout", 5),
    ("targetGroup:TargetGroup", "", "targetType", "ip"),
    ("appautoscaling/policy:Policy", "-cpu", "targetTrackingScalingPolicyConfiguration.scaleOutCooldown", 60),
    ("appautoscaling/policy:Policy", "-cpu", "targetTrackingScalingPolicyConfiguration.scaleInCooldown", 300),
    ("ec2/flowLog:FlowLog", "", "trafficType", "ALL"),
    ("vpcEndpoint:VpcEndpoint", "-s3", "vpcEndpointType", "Gateway"),
    ("repository:Repository", "", "encryptionConfigurations.0.encryptionType", "KMS"),
    ("ecr/lifecyclePolicy:LifecyclePolicy", "", "policy.rules.1.selection.countNumber", 20),
    ("kms/key:Key", "", "enableKeyRotation", True),
    ("secretsmanager/secret:Secret", "-apiKeys", "recoveryWindowInDays", 30),
    ("acm/certificate:Certificate", "", "validationMethod", "DNS"),
    ("route53/record:Record", "-address", "aliases.0.evaluateTargetHealth", True),
    ("ReplicationGroup", "", "authTokenUpdateStrategy", "ROTATE"),
    ("bucketLifecycleConfiguration:BucketLifecycleConfiguration", "weights-lifecycle", "rules.0.status", "Enabled"),
    ("bucketLogging:BucketLogging", "", "targetPrefix", "rag-platform-prod-weights/"),
    ("bucketOwnershipControls:BucketOwnershipControls", "weights-owner", "rule.objectOwnership", "BucketOwnerEnforced"),
    (
        "webAclAssociation:WebAclAssociation",
        "",
        "resourceArn",
        "arn:aws:lb:eu-north-1:111122223333:rag-platform-prod-lb",
    ),
    ("webAclLoggingConfiguration:WebAclLoggingConfiguration", "", "redactedFields.1.singleHeader.name", "x-api-key"),
    ("metricAlarm:MetricAlarm", "-errors", "treatMissingData", "notBreaching"),
    ("metricAlarm:MetricAlarm", "-unhealthy", "metricName", "UnHealthyHostCount"),
    ("logGroup:LogGroup", "prod-service", "retentionInDays", 365),
)


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return program("prod")


def at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = json.loads(value) if isinstance(value, str) else value
        value = value[int(step)] if step.isdigit() else value[step]
    return value


@pytest.mark.parametrize(("kind", "name", "path", "value"), DECLARED, ids=lambda each: str(each)[:60])
def test_prod_declares(prod: offline.Program, kind: str, name: str, path: str, value: Any) -> None:
    assert at(prod.one(kind, name).inputs, path) == value


def test_instances_are_drained_and_keep_their_tasks_until_they_are_empty() -> None:
    declared = program("prod", ecs={"capacity": "ec2", "instanceType": "t3.large"})
    pool = declared.one("CapacityProvider", "-pool").inputs["autoScalingGroupProvider"]
    assert (pool["managedDraining"], pool["managedTerminationProtection"]) == ("ENABLED", "ENABLED")
    assert pool["managedScaling"]["status"] == "ENABLED"
    assert declared.one("autoscaling/group:Group").inputs["protectFromScaleIn"] is True


def test_interface_endpoints_are_reached_from_inside_the_network_only() -> None:
    declared = program("prod", network={"interfaceEndpoints": ["secretsmanager", "ssm"]})
    made = [each.inputs for each in declared.of("VpcEndpoint") if each.inputs["vpcEndpointType"] == "Interface"]
    assert {each["serviceName"].rpartition(".")[2] for each in made} == {"secretsmanager", "ssm"}
    assert all(each["privateDnsEnabled"] for each in made)
    rule = declared.one("SecurityGroupIngressRule", "endpoints-https").inputs
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.20.0.0/16", 443, 443)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 2), (5, 5), (1, 10)])
def test_the_horizontal_ladder_is_one_key(low: int, high: int) -> None:
    target = program("prod", service={"replicas": {"min": low, "max": high}}).one("appautoscaling/target:Target").inputs
    assert (target["minCapacity"], target["maxCapacity"]) == (low, high)
