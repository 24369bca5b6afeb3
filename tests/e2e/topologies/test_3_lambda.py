"""The stack `dev` as a function, by `topology: lambda` alone: interrupted, edited, deployed, drifted, undone."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.e2e import outcomes
from tests.e2e.census import census
from tests.e2e.stack import UNSERVED_TYPES, Stack, Step
from tests.e2e.topologies.conftest import QUIET_EDITS, REGION
from tests.e2e.typed import typed
from tests.infra.cloud_cases import DIGEST, GOLDEN, VENDORS
from tests.unit.opsctl.conftest import Ended

TOPOLOGY = "lambda"
FIRST = DIGEST
SECOND, THIRD = (DIGEST.replace("0" * 64, digit * 64) for digit in "23")
FUNCTION, ALIAS = "aws:lambda/function:Function", "aws:lambda/alias:Alias"
API, DEPLOYMENT = "aws:apigateway/restApi:RestApi", "aws:apigateway/deployment:Deployment"
STAGE, SETTINGS = "aws:apigateway/stage:Stage", "aws:apigateway/methodSettings:MethodSettings"
REPLACED = ("create-replacement", "replace", "delete-replaced")
NEW_VERSION = {("update", FUNCTION, "function"), ("update", ALIAS, "live")}
NEW_DOCUMENT = {
    ("update", API, "api"),
    ("update", STAGE, "stage"),
    *((op, DEPLOYMENT, "deployment") for op in REPLACED),
}
# what a user sets -> the operations that this may cause
EDITS: dict[str, tuple[dict[str, Any], set[Step]]] = {
    "image": ({"service.image": SECOND}, NEW_VERSION),
    "memory": ({"lambda.memoryMiB": 4096}, NEW_VERSION),
    "timeout": ({"lambda.timeoutSeconds": 60}, NEW_VERSION | NEW_DOCUMENT),
    "throttle": ({"lambda.throttle.burst": 20}, {("update", SETTINGS, "settings")}),
    "origins": ({"access.corsOrigins": ["https://chat.example.com"]}, NEW_VERSION | NEW_DOCUMENT),
}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def short(steps: list[Step]) -> set[Step]:
    return {(op, kind, name.removeprefix("rag-platform-dev-lambda-")) for op, kind, name in steps}


def opsctl(stack: Stack, command: str, *more: str) -> Ended:
    return typed(stack, command, "--yes", "--no-smoke-test", *more)


def answering(stack: Stack) -> dict[str, Any]:
    """What the alias answers with, as Lambda says."""
    where = stack.outputs()["cluster"]
    found = client("lambda").get_function(FunctionName=where["name"], Qualifier=where["service"])
    return {**found["Configuration"], "image": found["Code"]["ImageUri"]}


def test_a_deployment_that_is_broken_off_is_finished_by_the_next_one(stack: Stack) -> None:
    stack.up()
    # in the middle of edits: the cloud at hand forgets to whom a thing belongs that is being made at that moment
    outcomes.is_broken_off_and_finished_by_the_same_command(stack, QUIET_EDITS)


def test_what_is_there_is_what_the_golden_list_says(stack: Stack) -> None:
    held = [each.rpartition("::") for each in stack.resources() if "::rag-platform:" not in each.rpartition("$")[2]]
    named = {
        f"{kind.rpartition('$')[2].rpartition('::')[2]} {name.replace('-dev-lambda', '-dev')}" for kind, _, name in held
    }
    listed = (GOLDEN / "lambda-dev.txt").read_text().splitlines()
    golden = {line for line in listed if not line.startswith(UNSERVED_TYPES)}
    assert {each for each in named if not each.startswith("rag-platform:")} == golden


def test_the_function_is_what_the_config_says(stack: Stack) -> None:
    outputs, made = stack.outputs(), answering(stack)
    assert outputs["topology"] == "lambda"
    assert outputs["release"] == {"image": FIRST, "revision": made["FunctionArn"]}
    assert (made["image"], made["MemorySize"], made["Timeout"]) == (FIRST, 3008, 120)
    assert made["TracingConfig"]["Mode"] == "Active"
    assert made["KMSKeyArn"] == outputs["endpoint"]["keyArn"]
    assert made["LoggingConfig"]["LogGroup"] == outputs["logs"]["group"]
    assert "planted" not in json.dumps(made, default=str)
    limit = client("lambda").get_function_concurrency(FunctionName=outputs["cluster"]["name"])
    assert limit["ReservedConcurrentExecutions"] == 50


def test_the_api_alone_may_invoke_the_alias(stack: Stack) -> None:
    where = stack.outputs()["cluster"]
    policy = client("lambda").get_policy(FunctionName=where["name"], Qualifier=where["service"])["Policy"]
    (allowed,) = json.loads(policy)["Statement"]
    assert allowed["Principal"] == {"Service": "apigateway.amazonaws.com"}
    (api,) = client("apigateway").get_rest_apis()["items"]
    assert f":{api['id']}/*/*" in allowed["Condition"]["ArnLike"]["AWS:SourceArn"]


def test_the_stage_is_throttled_traced_and_closed_to_others(stack: Stack) -> None:
    gateway = client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    assert stack.outputs()["url"].startswith(f"https://{api['id']}.execute-api.")
    stage = gateway.get_stage(restApiId=api["id"], stageName="live")
    assert stage["tracingEnabled"]
    limits = stage["methodSettings"]["*/*"]
    assert (limits["throttlingRateLimit"], limits["throttlingBurstLimit"]) == (50, 100)


def test_each_path_calls_the_alias_and_metrics_are_no_path(stack: Stack) -> None:
    gateway = client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    resources = gateway.get_resources(restApiId=api["id"], embed=["methods"])["items"]
    routed = {each["path"]: each.get("resourceMethods", {}) for each in resources}
    assert {"/rag", "/search", "/v1/chat/completions", "/health"} <= routed.keys()
    assert not [path for path in routed if "metrics" in path]
    uri = routed["/rag"]["POST"]["methodIntegration"]["uri"]
    assert uri.endswith(":live/response-streaming-invocations")


@pytest.fixture(scope="module")
def planned(stack: Stack) -> dict[str, set[Step]]:
    """What the engine would do for each edit alone."""
    edits = {edit: values for edit, (values, _) in EDITS.items()}
    return {edit: short(plan.steps) for edit, plan in stack.what_ifs(edits).items()}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_only_what_it_should(planned: dict[str, set[Step]], edit: str) -> None:
    assert planned[edit]
    assert planned[edit] <= EDITS[edit][1]


def test_a_deployment_is_proved_by_the_alias(stack: Stack) -> None:
    done = opsctl(stack, "deploy", "--no-preflight", "--image", SECOND)
    assert done.code == 0, done.err
    assert SECOND in done.document["running"]["images"]
    assert done.document["verdict"]["why"].endswith(":2 runs")
    assert answering(stack)["image"] == SECOND


def test_a_hand_on_the_alias_is_seen_and_put_right(stack: Stack) -> None:
    where = stack.outputs()["cluster"]
    client("lambda").update_alias(FunctionName=where["name"], Name=where["service"], FunctionVersion="1")
    client("apigateway").update_stage(
        restApiId=client("apigateway").get_rest_apis()["items"][0]["id"],
        stageName="live",
        patchOperations=[{"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "5000"}],
    )
    stack.run("refresh", "--yes", "--skip-preview")
    drifted = short(stack.plan().steps)
    assert drifted == {("update", ALIAS, "live"), ("update", SETTINGS, "settings")}
    stack.up()
    assert answering(stack)["image"] == SECOND


def test_a_rollback_runs_the_image_before(stack: Stack) -> None:
    done = opsctl(stack, "rollback")
    assert done.code == 0, done.err
    assert f"going back to {FIRST}" in done.err
    assert answering(stack)["image"] == FIRST
    assert stack.config()["rag-platform:service"]["image"] == FIRST


def test_a_wrong_config_is_refused(stack: Stack) -> None:
    outcomes.is_refused_for_a_wrong_config(stack, lambda: answering(stack)["image"])


def test_a_throttled_account(stack: Stack) -> None:
    outcomes.is_throttled(stack, "lambda", "GetAlias", lambda: answering(stack)["image"])
    outcomes.is_throttled_in_its_update(stack, lambda: answering(stack)["image"])


def test_an_image_that_has_no_good_answer_is_taken_back(stack: Stack) -> None:
    where = stack.outputs()["cluster"]

    def runs() -> str:
        found = client("lambda").get_function(FunctionName=where["name"], Qualifier=where["service"])
        return str(found["Code"]["ImageUri"])

    outcomes.is_taken_back_where_the_smoke_test_fails(stack, THIRD, FIRST, runs)


def test_a_paused_function_answers_nobody_and_comes_back_with_its_limit(stack: Stack) -> None:
    functions: Any = boto3.client("lambda", region_name=REGION)
    name = stack.outputs()["cluster"]["name"]

    def limit() -> object:
        return functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")

    before = limit()
    done = typed(stack, "pause", "--yes", "--no-endpoint")
    assert done.code == 0, done.err
    assert (done.document["changed"], limit()) == (["alarms", "function"], 0)
    back = typed(stack, "resume", "--yes", "--no-endpoint")
    assert back.code == 0, back.err
    assert (back.document["changed"], limit()) == (["function", "alarms"], before)


def test_no_secret_is_readable_in_the_state_or_the_output(stack: Stack) -> None:
    arn = stack.outputs()["secrets"]["apiKey-default"]
    key = client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    places = json.dumps(stack.state()) + "".join(stack.log) + stack.file.read_text()
    for value in (*(f"planted-{name}" for name in VENDORS), key):
        assert value not in places


def test_destroy_leaves_nothing(stack: Stack, before: set[tuple[str, str]]) -> None:
    stack.run("destroy", "--yes", "--skip-preview")
    assert census(REGION) - before == set()
