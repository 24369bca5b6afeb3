"""What is safe, available or in time only because one field says so: the Lambda topology declares each of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import offline
from infra.errors import SizingError
from infra.sizing import lambda_timeouts
from tests.infra.cloud_cases import DIGEST, program
from tests.infra.test_ecs_declared import at

STAGE = "arn:aws:apigateway:eu-north-1:111122223333:rag-platform-prod-stage"
DECLARED: tuple[tuple[str, str, str, Any], ...] = (
    ("lambda/function:Function", "-function", "packageType", "Image"),
    ("lambda/function:Function", "-function", "imageUri", DIGEST),
    ("lambda/function:Function", "-function", "architectures.0", "x86_64"),
    ("lambda/function:Function", "-function", "memorySize", 3008),
    ("lambda/function:Function", "-function", "timeout", 120),
    ("lambda/function:Function", "-function", "publish", True),
    ("lambda/function:Function", "-function", "tracingConfig.mode", "Active"),
    ("lambda/function:Function", "-function", "kmsKeyArn", "arn:aws:kms:eu-north-1:111122223333:rag-platform-prod-key"),
    ("lambda/function:Function", "-function", "ephemeralStorage.size", 512),
    ("lambda/function:Function", "-function", "reservedConcurrentExecutions", 50),
    ("lambda/function:Function", "-function", "loggingConfig.logGroup", "/rag/prod/service"),
    ("lambda/function:Function", "-function", "environment.variables.AWS_LWA_INVOKE_MODE", "response_stream"),
    ("lambda/function:Function", "-function", "environment.variables.AWS_LWA_PORT", "8000"),
    ("lambda/function:Function", "-function", "environment.variables.AWS_LWA_READINESS_CHECK_PATH", "/readyz"),
    ("lambda/alias:Alias", "", "name", "live"),
    ("lambda/alias:Alias", "", "functionVersion", "1"),
    ("lambda/permission:Permission", "-invoke", "principal", "apigateway.amazonaws.com"),
    ("lambda/permission:Permission", "-invoke", "qualifier", "live"),
    (
        "lambda/permission:Permission",
        "-invoke",
        "sourceArn",
        "arn:aws:execute-api:eu-north-1:111122223333:rag-platform-prod-api/*/*",
    ),
    ("apigateway/restApi:RestApi", "", "endpointConfiguration.types", "REGIONAL"),
    ("apigateway/restApi:RestApi", "", "disableExecuteApiEndpoint", True),
    ("apigateway/stage:Stage", "", "xrayTracingEnabled", True),
    ("apigateway/stage:Stage", "", "accessLogSettings.format.requestId", "$context.requestId"),
    ("apigateway/methodSettings:MethodSettings", "", "methodPath", "*/*"),
    ("apigateway/methodSettings:MethodSettings", "", "settings.throttlingRateLimit", 50),
    ("apigateway/methodSettings:MethodSettings", "", "settings.throttlingBurstLimit", 100),
    ("apigateway/methodSettings:MethodSettings", "", "settings.dataTraceEnabled", False),
    ("apigateway/methodSettings:MethodSettings", "", "settings.loggingLevel", "ERROR"),
    ("apigateway/domainName:DomainName", "", "securityPolicy", "TLS_1_2"),
    ("apigateway/domainName:DomainName", "", "endpointConfiguration.types", "REGIONAL"),
    ("route53/record:Record", "-address", "aliases.0.zoneId", "Z0API"),
    ("webAclAssociation:WebAclAssociation", "", "resourceArn", STAGE),
    ("logGroup:LogGroup", "prod-access", "retentionInDays", 365),
    ("metricAlarm:MetricAlarm", "-latency", "threshold", 10_000),
    ("metricAlarm:MetricAlarm", "-concurrency", "threshold", 40),
    ("metricAlarm:MetricAlarm", "-failures", "dimensions.Resource", "rag-platform-prod-function:live"),
    ("repositoryPolicy:RepositoryPolicy", "", "policy.Statement.0.Principal.Service", "lambda.amazonaws.com"),
)  # fmt: skip


def on_lambda(stack: str = "prod", **more: Any) -> offline.Program:
    return program(stack, topology="lambda", **more)


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return on_lambda()


@pytest.mark.parametrize(("kind", "name", "path", "value"), DECLARED, ids=lambda each: str(each)[:60])
def test_prod_declares(prod: offline.Program, kind: str, name: str, path: str, value: Any) -> None:
    assert at(prod.one(kind, name).inputs, path) == value


def integration_ms(declared: offline.Program) -> int:
    document = json.loads(declared.one("apigateway/restApi:RestApi").inputs["body"])
    return int(document["paths"]["/rag"]["post"]["x-amazon-apigateway-integration"]["timeoutInMillis"])


@pytest.mark.parametrize("seconds", [30, 120, 895])
def test_the_request_gives_up_before_the_function_and_that_before_the_gateway(seconds: int) -> None:
    declared = on_lambda(**{"lambda": {"timeoutSeconds": seconds}})
    made = declared.one("lambda/function:Function", "-function").inputs
    deadline_s = float(made["environment"]["variables"]["RAG_DEADLINE_S"])
    assert deadline_s < made["timeout"] < integration_ms(declared) / 1000 <= 900


@pytest.mark.parametrize(("deadline_s", "function_s"), [(25, 25), (25, 896), (31, 30)])
def test_timeouts_that_are_no_chain_are_refused(deadline_s: float, function_s: int) -> None:
    with pytest.raises(SizingError):
        lambda_timeouts(deadline_s, function_s)


def test_the_function_may_read_its_own_secrets_and_little_else(prod: offline.Program) -> None:
    statements = json.loads(prod.one("iam/rolePolicy:RolePolicy", "-function-policy").inputs["policy"])["Statement"]
    allowed = {action: each["Resource"] for each in statements for action in each["Action"]}
    assert set(allowed) == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
        "ssm:GetParameter",
    }
    assert {arn.rpartition("-")[2] for arn in allowed["secretsmanager:GetSecretValue"]} == {
        "apiKeys",
        "mongoUrl",
        "openaiApiKey",
        "qdrantApiKey",
    }


@pytest.mark.parametrize(("role", "service"), [("-prod-function", "lambda"), ("-gateway-logs", "apigateway")])
def test_a_service_that_names_no_source_is_not_asked_for_one(prod: offline.Program, role: str, service: str) -> None:
    """A condition on what is never sent would lock it out."""
    (trust,) = json.loads(prod.one("iam/role:Role", role).inputs["assumeRolePolicy"])["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


def test_no_secret_is_in_what_the_function_is_declared_with(prod: offline.Program) -> None:
    made = prod.one("lambda/function:Function", "-function").inputs
    assert "planted" not in json.dumps(made)
    assert set(json.loads(made["environment"]["variables"]["RAG_SECRETS_FROM"])) == {
        "OPENAI_API_KEY",
        "QDRANT_APIKEY",
        "DATABASE_HOST",
    }


def test_without_a_domain_the_apis_own_https_address_is_the_stacks() -> None:
    dev = on_lambda("dev")
    assert dev.one("apigateway/restApi:RestApi").inputs["disableExecuteApiEndpoint"] is False
    assert dev.outputs["url"].startswith("https://")
    assert dev.outputs["url"].endswith("/live")
    assert not dev.of("DomainName")


def test_a_closed_stack_lets_its_networks_call_and_nobody_else() -> None:
    document = json.loads(on_lambda("dev").one("apigateway/restApi:RestApi").inputs["body"])
    (allowed,) = document["x-amazon-apigateway-policy"]["Statement"]
    assert allowed["Condition"]["IpAddress"]["aws:SourceIp"] == ["192.0.2.0/24"]


def test_a_new_document_is_a_new_deployment_and_a_new_image_is_none() -> None:
    def digest(**more: Any) -> str:
        return str(on_lambda(**more).one("apigateway/deployment:Deployment").inputs["triggers"]["document"])

    assert digest() == digest(service={"image": DIGEST.replace("0" * 64, "1" * 64)})
    assert digest() != digest(**{"lambda": {"timeoutSeconds": 60}})


def test_a_private_store_brings_the_function_into_the_private_subnets() -> None:
    declared = on_lambda(retrieval={"qdrant": "self-hosted"}, cache={"redis": "elasticache"})
    place = declared.one("lambda/function:Function", "-function").inputs["vpcConfig"]
    assert len(place["subnetIds"]) == 3
    assert place["securityGroupIds"] == ["rag-platform-prod-function-id"]
    out = {
        each.inputs.get("referencedSecurityGroupId") or each.inputs["cidrIpv4"]: each.inputs["fromPort"]
        for each in declared.of("SecurityGroupEgressRule")
        if each.inputs["securityGroupId"] == "rag-platform-prod-function-id" and each.inputs["fromPort"] != 27017
    }
    assert out == {"rag-platform-prod-qdrant-host-id": 6333, "rag-platform-prod-cache-id": 6379, "0.0.0.0/0": 443}
    policy = declared.one("iam/rolePolicy:RolePolicy", "-function-policy").inputs["policy"]
    assert "ec2:CreateNetworkInterface" in policy


def test_warm_instances_sleep_on_the_stacks_schedule() -> None:
    declared = on_lambda(**{"lambda": {"provisionedConcurrency": 3}}, scaling={"schedule": {"min": 1}})
    kept = declared.one("ProvisionedConcurrencyConfig")
    assert (kept.inputs["provisionedConcurrentExecutions"], kept.inputs["qualifier"]) == (3, "live")
    assert kept.ignored == ("provisionedConcurrentExecutions",)
    target = declared.one("appautoscaling/target:Target").inputs
    assert target["resourceId"] == "function:rag-platform-prod-function:live"
    moves = {
        each.name.rpartition("-")[2]: each.inputs["scalableTargetAction"] for each in declared.of("ScheduledAction")
    }
    assert moves == {"down": {"minCapacity": 1, "maxCapacity": 1}, "up": {"minCapacity": 3, "maxCapacity": 3}}
    assert not on_lambda(**{"lambda": {"provisionedConcurrency": 3}}).of("appautoscaling/target:Target")


def test_a_gradual_rollout_owns_the_alias_and_goes_back_on_the_alarms() -> None:
    declared = on_lambda(**{"lambda": {"rollout": "canary"}})
    assert declared.one("lambda/alias:Alias").ignored == ("functionVersion", "routingConfig")
    group = declared.one("codedeploy/deploymentGroup:DeploymentGroup").inputs
    assert group["deploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    assert group["alarmConfiguration"]["alarms"] == [
        f"rag-platform-prod-{what}" for what in ("errors", "latency", "failures")
    ]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["autoRollbackConfiguration"]["events"]
    assert declared.outputs["rollout"] == {"application": "rag-platform-prod-rollout", "group": "live"}
    assert on_lambda().one("lambda/alias:Alias").ignored == ()
    assert on_lambda().outputs["rollout"] is None


def test_an_arm_function_is_one_key() -> None:
    assert on_lambda(service={"architecture": "arm64"}).one("lambda/function:Function", "-function").inputs[
        "architectures"
    ] == ["arm64"]
