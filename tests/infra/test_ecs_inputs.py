"""What the ECS topology declares: the settings that make it safe, available and honest about failure."""

import json
from typing import Any

import pytest

from infra import offline
from infra.components.ecs_task import egress_ports
from infra.components.permissions import NAME_NO_SOURCE
from tests.infra.cloud_cases import config, program


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return program("prod")


@pytest.fixture(scope="module")
def dev() -> offline.Program:
    return program("dev")


def container_of(declared: offline.Program) -> dict[str, Any]:
    (container,) = json.loads(declared.one("taskDefinition:TaskDefinition").inputs["containerDefinitions"])
    return dict(container)


def statements(declared: offline.Program, role: str) -> list[dict[str, Any]]:
    policy = declared.one("rolePolicy:RolePolicy", f"{role}-policy").inputs["policy"]
    return list(json.loads(policy)["Statement"])


def test_task_has_the_guides_size_and_no_way_to_escalate(prod: offline.Program) -> None:
    task, container = prod.one("taskDefinition:TaskDefinition").inputs, container_of(prod)
    assert (task["cpu"], task["memory"], task["networkMode"]) == ("2048", "4096", "awsvpc")
    assert container["readonlyRootFilesystem"] is True
    assert container["user"].split(":")[0] != "0"
    assert container["privileged"] is False
    assert container["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
    assert task["executionRoleArn"] != task["taskRoleArn"]


def test_a_shell_has_its_places_to_write_and_the_root_stays_read_only() -> None:
    declared = program("prod", ecs={"exec": True})
    task, container = declared.one("taskDefinition:TaskDefinition").inputs, container_of(declared)
    assert container["readonlyRootFilesystem"] is True
    mounted = {each["containerPath"]: each["sourceVolume"] for each in container["mountPoints"]}
    assert mounted.keys() >= {"/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm"}
    assert sorted(each["name"] for each in task["volumes"]) == sorted(mounted.values())
    assert "ssmmessages:OpenDataChannel" in {act for each in statements(declared, "task") for act in each["Action"]}


def test_drain_budgets_fit_into_each_other(prod: offline.Program) -> None:
    environment = {each["name"]: each["value"] for each in container_of(prod)["environment"]}
    stop, deadline = container_of(prod)["stopTimeout"], float(environment["RAG_DEADLINE_S"])
    deregistration = prod.one("targetGroup:TargetGroup").inputs["deregistrationDelay"]
    idle = prod.one("loadBalancer:LoadBalancer").inputs["idleTimeout"]
    assert deadline <= 25 < deregistration == 30 < stop == 45
    assert deadline < idle == 60


def test_secrets_reach_the_task_by_reference_only(prod: offline.Program) -> None:
    container = container_of(prod)
    assert {each["name"] for each in container["secrets"]} == {
        "OPENAI_API_KEY",
        "QDRANT_APIKEY",
        "DATABASE_HOST",
        "RAG_REDIS_URL",
    }
    assert all(each["valueFrom"].startswith("arn:aws:secretsmanager:") for each in container["secrets"])
    for resource in prod.resources:
        if not resource.type.startswith(("aws:secretsmanager/secretVersion", "aws:elasticache/replicationGroup")):
            assert "planted" not in json.dumps(resource.inputs, default=str)
    assert "planted" not in json.dumps(prod.outputs, default=str)


def test_logs_never_block_an_answer(prod: offline.Program) -> None:
    assert container_of(prod)["logConfiguration"]["options"]["mode"] == "non-blocking"


def test_deployment_takes_itself_back(prod: offline.Program) -> None:
    service = prod.one("ecs/service:Service").inputs
    assert service["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service["alarms"]["enable"]
    assert service["alarms"]["rollback"]
    assert len(service["alarms"]["alarmNames"]) == 3
    assert (service["deploymentMinimumHealthyPercent"], service["deploymentMaximumPercent"]) == (100, 200)
    assert service["availabilityZoneRebalancing"] == "ENABLED"
    assert service["healthCheckGracePeriodSeconds"] >= 90


def test_tasks_are_private_and_reached_by_the_load_balancer_only(prod: offline.Program) -> None:
    service = prod.one("ecs/service:Service").inputs
    assert service["networkConfiguration"]["assignPublicIp"] is False
    assert all("private" in subnet for subnet in service["networkConfiguration"]["subnets"])
    into = [each for each in prod.of("SecurityGroupIngressRule") if "tasks" in each.inputs["securityGroupId"]]
    assert [(each.inputs["referencedSecurityGroupId"], each.inputs["fromPort"]) for each in into] == [
        ("rag-platform-prod-front-id", 8000)
    ]


def test_no_rule_opens_the_metrics_port(prod: offline.Program) -> None:
    rules = prod.of("SecurityGroupIngressRule") + prod.of("SecurityGroupEgressRule")
    assert not [each for each in rules if each.inputs["fromPort"] <= 9090 <= each.inputs["toPort"]]


def test_egress_names_its_ports(prod: offline.Program) -> None:
    out = [each for each in prod.of("SecurityGroupEgressRule") if each.inputs.get("cidrIpv4") == "0.0.0.0/0"]
    ports = {each.inputs["fromPort"] for each in out if "tasks" in each.name}
    assert ports == {443, 6333, 27017}
    assert all(each.inputs["ipProtocol"] == "tcp" for each in out)


@pytest.mark.parametrize(("end", "ports"), [(":6333", {6333}), ("", {6333}), (":8443", {8443}), (":443", set())])
def test_the_port_of_qdrant_is_the_one_that_its_clients_ask(end: str, ports: set[int]) -> None:
    cfg = config("prod", {"retrieval": {"url": f"https://vectors.example.com{end}"}})
    assert set(egress_ports(cfg)) == {443, 27017} | ports


def test_front_door_speaks_tls_only(prod: offline.Program) -> None:
    https, redirect = prod.one("listener:Listener", "https").inputs, prod.one("listener:Listener", "redirect").inputs
    assert (https["port"], https["protocol"]) == (443, "HTTPS")
    assert "TLS13-1-2" in https["sslPolicy"]
    assert redirect["defaultActions"][0]["redirect"] == {
        "port": "443",
        "protocol": "HTTPS",
        "statusCode": "HTTP_301",
    }
    balancer = prod.one("loadBalancer:LoadBalancer").inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["desyncMitigationMode"] == "defensive"
    assert balancer["enableDeletionProtection"] is True
    assert balancer["accessLogs"]["enabled"] is True


def test_health_check_is_ten_seconds_twice(prod: offline.Program) -> None:
    check = prod.one("targetGroup:TargetGroup").inputs["healthCheck"]
    assert (check["path"], check["interval"], check["healthyThreshold"]) == ("/health", 10, 2)


def test_scaling_follows_the_guides_triggers(prod: offline.Program) -> None:
    target = prod.one("appautoscaling/target:Target").inputs
    assert (target["minCapacity"], target["maxCapacity"]) == (2, 4)
    tracked = {
        each.inputs["targetTrackingScalingPolicyConfiguration"]["predefinedMetricSpecification"][
            "predefinedMetricType"
        ]: each.inputs["targetTrackingScalingPolicyConfiguration"]["targetValue"]
        for each in prod.of("appautoscaling/policy:Policy")
    }
    assert tracked == {
        "ECSServiceAverageCPUUtilization": 70,
        "ECSServiceAverageMemoryUtilization": 80,
        "ALBRequestCountPerTarget": 1000,
    }
    assert prod.one("ecs/service:Service").ignored == ("desiredCount",)


def test_dev_sleeps_at_night(dev: offline.Program) -> None:
    down, up = (dev.one("scheduledAction:ScheduledAction", what).inputs for what in ("down", "up"))
    assert down["scalableTargetAction"] == {"minCapacity": 0, "maxCapacity": 0}
    assert up["scalableTargetAction"] == {"minCapacity": 1, "maxCapacity": 2}


def test_dev_runs_on_spot_with_one_task_on_demand(dev: offline.Program) -> None:
    strategy = dev.one("ecs/service:Service").inputs["capacityProviderStrategies"]
    assert [(each["capacityProvider"], each["base"], each["weight"]) for each in strategy] == [
        ("FARGATE", 1, 1),
        ("FARGATE_SPOT", 0, 3),
    ]


def test_service_may_invoke_the_named_endpoint_and_nothing_else(prod: offline.Program) -> None:
    (invoke,) = [each for each in statements(prod, "task") if "sagemaker:InvokeEndpoint" in each["Action"]]
    assert invoke["Resource"] == [
        "arn:aws:sagemaker:eu-north-1:111122223333:endpoint/twin",
        "arn:aws:sagemaker:eu-north-1:111122223333:inference-component/twin-main",
    ]
    actions = {action for each in statements(prod, "task") for action in each["Action"]}
    assert actions == {
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "kms:Decrypt",
    }


def test_no_policy_has_a_wildcard_action(prod: offline.Program) -> None:
    for policy in prod.of("rolePolicy:RolePolicy"):
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            assert not [action for action in statement["Action"] if action.endswith("*")], policy.name


def test_roles_are_assumed_for_this_account_only(prod: offline.Program) -> None:
    for role in prod.of("iam/role:Role"):
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        if statement["Principal"]["Service"] in NAME_NO_SOURCE:
            continue
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}, role.name


def test_default_security_group_lets_nothing_through(prod: offline.Program) -> None:
    closed = prod.one("DefaultSecurityGroup").inputs
    assert (closed["ingress"], closed["egress"]) == ([], [])


def test_a_nat_gateway_per_zone_in_prod_and_one_in_dev(prod: offline.Program, dev: offline.Program) -> None:
    assert len(prod.of("natGateway:NatGateway")) == 3
    assert len(dev.of("natGateway:NatGateway")) == 1
    tables = {each.inputs["routeTableId"] for each in prod.of("RouteTableAssociation") if "private" in each.name}
    assert len(tables) == 3


def test_buckets_are_private_encrypted_versioned_and_tls_only(prod: offline.Program) -> None:
    for bucket in prod.of("s3/bucket:Bucket"):
        block = prod.one("BucketPublicAccessBlock", f"{bucket.name}-private").inputs
        assert all(block[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls"))
        policy = json.loads(prod.one("BucketPolicy", f"{bucket.name}-policy").inputs["policy"])
        assert policy["Statement"][0]["Effect"] == "Deny"
        assert prod.one("BucketVersioning", f"{bucket.name}-versioning")


def test_cache_is_encrypted_and_fails_over_in_prod(prod: offline.Program, dev: offline.Program) -> None:
    cache = prod.one("ReplicationGroup").inputs
    assert (cache["engine"], cache["transitEncryptionEnabled"], cache["atRestEncryptionEnabled"]) == (
        "valkey",
        True,
        True,
    )
    assert cache["authToken"]
    assert (cache["automaticFailoverEnabled"], cache["multiAzEnabled"]) == (True, True)
    assert dev.one("ReplicationGroup").inputs["automaticFailoverEnabled"] is False


def test_firewall_has_the_managed_groups_and_a_rate(prod: offline.Program) -> None:
    rules = prod.one("webAcl:WebAcl").inputs["rules"]
    assert [rule["name"] for rule in rules] == [
        "rate",
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesAnonymousIpList",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesCommonRuleSet",
    ]
    assert rules[0]["statement"]["rateBasedStatement"]["limit"] == 2000


def test_closed_ingress_lets_only_the_named_networks_in(dev: offline.Program) -> None:
    into = [each.inputs["cidrIpv4"] for each in dev.of("SecurityGroupIngressRule") if each.inputs.get("cidrIpv4")]
    assert into == ["192.0.2.0/24"]


def test_what_holds_data_is_protected_and_kept_in_prod(prod: offline.Program, dev: offline.Program) -> None:
    kept = {each.type for each in prod.resources if each.protect}
    assert kept == {
        "aws:s3/bucket:Bucket",
        "aws:kms/key:Key",
        "aws:ecr/repository:Repository",
        "aws:secretsmanager/secret:Secret",
    }
    assert all(each.retain for each in prod.resources if each.protect)
    assert not [each for each in dev.resources if each.protect or each.retain]


def test_images_never_move_and_are_scanned(prod: offline.Program) -> None:
    repository = prod.one("repository:Repository").inputs
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"][0]["encryptionType"] == "KMS"


def test_delivery_names_what_opsctl_needs(prod: offline.Program) -> None:
    outputs = prod.outputs
    assert outputs["url"] == "https://api.example.com"
    assert outputs["release"]["revision"].endswith("task")
    assert outputs["cluster"] == {"name": "rag-platform-prod-cluster", "service": "rag-platform-prod-service"}
    assert outputs["endpoint"]["name"] == "twin"
    assert outputs["logs"]["group"] == "/rag/prod/service"
    assert set(outputs["topics"]) == {"critical", "warning"}


def test_tags_are_on_the_provider_and_thus_on_everything(prod: offline.Program) -> None:
    provider = prod.one("pulumi:providers:aws").inputs
    assert json.loads(provider["defaultTags"])["tags"]["stack"] == "prod"


def test_behind_a_cdn_only_its_addresses_reach_the_front_door() -> None:
    declared = program("prod", cdn=True)
    into = [
        each.inputs for each in declared.of("SecurityGroupIngressRule") if "front" in each.inputs["securityGroupId"]
    ]
    assert [(each.get("prefixListId"), each.get("cidrIpv4"), each["fromPort"]) for each in into] == [
        ("pl-0cdn", None, 443)
    ]
    distribution = declared.one("distribution:Distribution").inputs
    assert distribution["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    assert distribution["origins"][0]["customOriginConfig"]["originProtocolPolicy"] == "https-only"
    assert "orderedCacheBehaviors" not in distribution or distribution["orderedCacheBehaviors"] == []
    rate = declared.one("webAcl:WebAcl").inputs["rules"][0]["statement"]["rateBasedStatement"]
    assert (rate["aggregateKeyType"], rate["forwardedIpConfig"]["headerName"]) == ("FORWARDED_IP", "x-caller-address")
    function = declared.one("cloudfront/function:Function").inputs
    assert 'headers["x-caller-address"] = {value: event.viewer.ip}' in function["code"]
    assert distribution["defaultCacheBehavior"]["functionAssociations"][0]["eventType"] == "viewer-request"
    assert declared.one("route53/record:Record", "address").inputs["aliases"][0]["zoneId"] == "Z0CF"


def test_instances_run_the_same_task_on_encrypted_disks() -> None:
    declared = program("prod", ecs={"capacity": "ec2", "instanceType": "t3.large"})
    assert declared.one("taskDefinition:TaskDefinition").inputs["requiresCompatibilities"] == ["EC2"]
    template = declared.one("launchTemplate:LaunchTemplate").inputs
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["blockDeviceMappings"][0]["ebs"]["encrypted"] == "true"
    assert declared.one("autoscaling/group:Group").inputs["maxSize"] == 5
