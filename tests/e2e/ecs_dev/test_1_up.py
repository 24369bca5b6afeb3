"""The stack `dev` on the real engine and the real AWS provider: up, though its program was killed on the way."""

from __future__ import annotations

import hashlib
import json

from tests.e2e.ecs_dev.cases import FIRST, SERVICE, client, short
from tests.e2e.stack import UNSERVED_TYPES, Stack, kill_the_program
from tests.infra.cloud_cases import GOLDEN, VENDORS


def second_phase(stack: Stack) -> None:
    for name in VENDORS:
        stack.set(f"secrets.{name}", f"planted-{name}", secret=True)
    stack.set("retrieval.url", "https://vectors.example.com:6333")
    stack.set("service.image", FIRST)


def test_first_phase_previews_everything_but_the_workload(stack: Stack) -> None:
    steps = stack.plan().steps
    assert {op for op, _, _ in steps} == {"create"}
    kinds = {kind for _, kind, _ in steps}
    assert SERVICE not in kinds
    assert "aws:ecr/repository:Repository" in kinds


def test_the_engine_plans_what_the_golden_list_says(stack: Stack) -> None:
    second_phase(stack)
    planned = [(kind, name) for _, kind, name in short(stack.plan().steps) if not kind.startswith("rag-platform:")]
    lines = sorted(f"{kind} {name}" for kind, name in planned)
    served = [line for line in (GOLDEN / "ecs-dev.txt").read_text().splitlines() if not line.startswith(UNSERVED_TYPES)]
    golden = sorted(line.replace(" rag-platform-dev-", " ") for line in served)
    assert lines == golden


def test_the_policy_pack_has_nothing_to_say(stack: Stack) -> None:
    done = stack.run("preview", "--policy-pack", "infra/policies")
    assert "rag-platform" in done.stdout
    assert "mandatory" not in done.stdout.lower().replace("policies:", "")


def test_an_up_whose_program_is_killed_is_finished_by_the_next_one(stack: Stack) -> None:
    assert stack.interrupt("created", 25, kill_the_program) != 0
    stack.up()
    assert stack.unchanged(), stack.log[-1]


def test_the_task_is_what_the_config_says(stack: Stack) -> None:
    outputs = stack.outputs()
    task = client("ecs").describe_task_definition(taskDefinition=outputs["release"]["revision"])["taskDefinition"]
    (container,) = task["containerDefinitions"]
    assert (task["cpu"], task["memory"], container["image"]) == ("1024", "3072", FIRST)
    assert container["readonlyRootFilesystem"]
    assert container["stopTimeout"] == 45
    assert {each["valueFrom"] for each in container["secrets"]} <= set(outputs["secrets"].values())
    assert "planted" not in json.dumps(task, default=str)


def test_the_service_is_behind_the_target_group(stack: Stack) -> None:
    cluster = stack.outputs()["cluster"]
    (service,) = client("ecs").describe_services(cluster=cluster["name"], services=[cluster["service"]])["services"]
    breaker = service["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert (breaker["enable"], breaker["rollback"]) == (True, True)
    assert len(service["deploymentConfiguration"]["alarms"]["alarmNames"]) == 3
    (group,) = client("elbv2").describe_target_groups(TargetGroupArns=[service["loadBalancers"][0]["targetGroupArn"]])[
        "TargetGroups"
    ]
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"], group["TargetType"]) == ("/health", 10, "ip")


def test_what_watches_the_service_is_there(stack: Stack) -> None:
    named = f"rag-platform-{stack.name}"
    cloudwatch = client("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100)
    composites = {each["AlarmName"]: each for each in found["CompositeAlarms"]}
    assert composites.keys() >= {f"{named}-endpoint-down", f"{named}-burn-fast", f"{named}-burn-slow"}
    assert "#alarm-endpoint-down" in composites[f"{named}-endpoint-down"]["AlarmDescription"]
    assert named in {each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]}
    assert stack.outputs()["dashboardUrl"].endswith(f"#dashboards/dashboard/{named}")
    functions = {each["Handler"] for each in client("lambda").list_functions()["Functions"]}
    # nobody outside may ask this stack, so it has no canary
    assert {f"opsctl.functions.{each}.handler.handler" for each in ("cost_rate", "redeploy")} <= functions
    assert "rate(15 minutes)" in {each.get("ScheduleExpression") for each in client("events").list_rules()["Rules"]}


def test_scaling_has_the_bounds_and_the_triggers(stack: Stack) -> None:
    assert stack.outputs()["topology"] == "ecs"
    scaling = client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    policies = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert sorted(each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for each in policies) == [
        70,
        80,
        1000,
    ]


def test_secrets_have_their_values_and_their_own_key(stack: Stack) -> None:
    outputs = stack.outputs()
    secrets = client("secretsmanager")
    assert (
        secrets.get_secret_value(SecretId=outputs["secrets"]["openaiApiKey"])["SecretString"] == "planted-openaiApiKey"
    )
    book = json.loads(secrets.get_secret_value(SecretId=outputs["secrets"]["apiKeys"])["SecretString"])
    key = secrets.get_secret_value(SecretId=outputs["secrets"]["apiKey-default"])["SecretString"]
    (entry,) = book["keys"]
    assert entry["sha256"] == hashlib.sha256(bytes.fromhex(entry["salt"]) + key.encode()).hexdigest()
    for arn in outputs["secrets"].values():
        assert secrets.describe_secret(SecretId=arn)["KmsKeyId"] == outputs["endpoint"]["keyArn"]


def test_the_task_role_can_invoke_the_named_endpoint_only(stack: Stack) -> None:
    iam = client("iam")
    task = client("ecs").describe_task_definition(taskDefinition=stack.outputs()["release"]["revision"])
    role = task["taskDefinition"]["taskRoleArn"].rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    invoke = [each for each in document["Statement"] if "sagemaker:InvokeEndpoint" in each["Action"]]
    assert [resource.rpartition(":")[2] for resource in invoke[0]["Resource"]] == [
        "endpoint/twin",
        "inference-component/twin-main",
    ]


def test_no_secret_is_readable_in_the_state_or_the_output(stack: Stack) -> None:
    arn = stack.outputs()["secrets"]["apiKey-default"]
    key = client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    places = json.dumps(stack.state()) + "".join(stack.log) + stack.file.read_text()
    for value in (*(f"planted-{name}" for name in VENDORS), key):
        assert value not in places
