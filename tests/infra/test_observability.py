"""No alarm refers to a metric that nothing emits, none is without a runbook entry, and none tells nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from infra import offline
from infra.components.edge_alarms import edge_alarms
from infra.components.function_alarms import FunctionAlarmArgs, function_alarms
from infra.components.observability.alarm import Alarm, Composite, anchor
from infra.components.observability.alarms import deployment_alarms, standing_alarms
from infra.components.observability.metrics import SERVICE, VARIANT, disk, own, saved, snapshots
from infra.components.observability.watched import Copies, Watched, load_balancer, rest_api, service_alone
from infra.config.edge_cloud import EdgeAlarms
from infra.config.workload import Budget, Monitoring
from opsctl.endpoint import names
from service.telemetry import emf
from tests.infra import test_edge_cloud, test_eks_resources, test_lambda_resources
from tests.infra.cloud_cases import GOLDEN, ROOT, config
from tests.infra.test_ecs_resources import CASES

if TYPE_CHECKING:
    from infra.components.alerts import Alerts

EMITTED = json.loads((GOLDEN / "emitted.json").read_text())["emf"]
AWS = yaml.safe_load((ROOT / "tests" / "data" / "aws_metrics.yaml").read_text())
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
CONFIG = Monitoring()
Named = tuple[str, frozenset[str], str]  # namespace, names of the dimensions, name
# what the stack's own functions write: tests/unit/opsctl/functions reads each of them off a run
FUNCTIONS = {
    ("service", frozenset({"Service"}), name)
    for name in ("available", "canary_latency_ms", "hourly_cost_usd", "unpriced_resources")
}
JOBS = {("service", frozenset({"Service", "Store"}), "backups")}  # tests/system/test_backup.py reads it off a run
# of the stores' volumes: tests/infra/test_store_disks.py reads the names off what reports them
DISKS = {
    ("service", frozenset({"Service", "Store", *labels}), "disk_used_percent") for labels in ((), ("path", "fstype"))
}
# what an edge pushes by itself, besides what the service writes
EDGE = {
    ("service", frozenset({"Service", "Host"}), "heartbeat"),
    ("service", frozenset({"Service"}), "answers"),
    ("service", frozenset({"Service"}), "cloud_answers"),
}
ECS = ("dev", "dev-first-phase", "prod", "prod-openai", "prod-llamacpp", "prod-self-hosted", "prod-cdn")


def everything(**more: Any) -> Watched:
    """A stack that has whatever can be watched."""
    space = "rag-platform/s"
    known: dict[str, Any] = {
        "namespace": space,
        "front": load_balancer("app/lb/1", "targetgroup/t/1"),
        "serves": True,
        "generator": "sagemaker",
        "copies": Copies(running=own(space, "processes"), wanted=own(space, "processes"), most=4),
        "endpoint": "twin",
        "asks_openai": True,
        "url": "https://api.example.com",
        "certificate_arn": "arn:aws:acm:eu-north-1:111122223333:certificate/c",
        "backups": {"mongo": saved(space, "mongo"), "volumes": snapshots("policy-1")},
        "disks": {"mongo": disk(space, "mongo", {})},
    }
    return Watched(**known | more)


def alarms(watched: Watched | None = None) -> tuple[Alarm | Composite, ...]:
    watched = watched or everything()
    guide = deployment_alarms(watched.front, CONFIG)
    return (
        *guide,
        *standing_alarms(watched, CONFIG, Budget()),
        *edge_alarms(watched.namespace, ["local"], EdgeAlarms()),
    )


def of_function() -> list[Alarm]:
    """What a function has besides."""
    args = FunctionAlarmArgs(
        api="api", stage="live", function="f", alias="live", reserved=10, alerts=cast("Alerts", None), config=CONFIG
    )
    return [each for each in function_alarms(args) if each.name not in {"errors", "latency"}]


def known() -> set[Named]:
    """What the service emits and what AWS publishes; the service's namespace is `service`."""
    own_ones = {("service", frozenset(each["dimensions"]), name) for each in EMITTED for name in each["names"]}
    published = {
        (space, frozenset(group["dimensions"]), name)
        for space, page in AWS.items()
        for group in page["groups"]
        for name in group["names"]
    }
    return own_ones | published | EDGE | FUNCTIONS | JOBS | DISKS


def referred(alarm: offline.Declared) -> Iterator[Named]:
    inputs = alarm.inputs
    plain = [inputs] if "metricName" in inputs else []
    for each in [*plain, *(query["metric"] for query in inputs.get("metricQueries", ()) if "metric" in query)]:
        space = "service" if each["namespace"].startswith("rag-platform/") else each["namespace"]
        if space == "service":
            assert each["dimensions"]["Service"] == SERVICE == emf.SERVICE
        yield (space, frozenset(each["dimensions"]), each["metricName"])


@pytest.fixture(scope="module")
def programs() -> dict[str, offline.Program]:
    made = {case: offline.declare(config(stack, more)) for case, (stack, more) in CASES.items() if case in ECS}
    made["lambda"] = test_lambda_resources.declared(*test_lambda_resources.CASES["prod"])
    made["hybrid"] = test_edge_cloud.hybrid()
    stack, more = test_eks_resources.CASES["prod"]
    made["eks"] = offline.declare(config(stack, more))
    made["eks-self-hosted"] = offline.declare(config(*test_eks_resources.CASES["prod-self-hosted"]))
    return made


def test_no_alarm_refers_to_a_metric_that_nothing_emits(programs: dict[str, offline.Program]) -> None:
    found = {named for made in programs.values() for alarm in made.of("MetricAlarm") for named in referred(alarm)}
    assert len(found) > 10
    assert found - known() == set()


def test_a_service_that_no_longer_emits_a_metric_fails_the_test_above(programs: dict[str, offline.Program]) -> None:
    found = {named for made in programs.values() for alarm in made.of("MetricAlarm") for named in referred(alarm)}
    assert found - {named for named in known() if named[2] != "refused"} == {
        ("service", frozenset({"Service"}), "refused")
    }


def shown(program: offline.Program) -> set[Named]:
    """What the widgets of a dashboard refer to."""
    found: set[Named] = set()
    page = json.loads(program.one("dashboard:Dashboard").inputs["dashboardBody"])
    for widget in page["widgets"]:
        for line in widget["properties"].get("metrics", ()):
            if isinstance(line[0], str):
                space, name, *dimensions, _ = line
                space = "service" if space.startswith("rag-platform/") else space
                found.add((space, frozenset(dimensions[::2]), name))
    return found


def test_no_widget_refers_to_a_metric_that_nothing_emits(programs: dict[str, offline.Program]) -> None:
    for topology, least in (("prod", 30), ("lambda", 30), ("eks", 30), ("hybrid", 12)):
        assert len(shown(programs[topology])) > least
        assert shown(programs[topology]) - known() == set(), topology


PUSHED = {"requests", "errors", "refused", "degraded", "total_latency_ms"}


def test_a_hybrid_refers_to_what_an_edge_pushes_and_not_to_what_only_log_lines_carry(
    programs: dict[str, offline.Program],
) -> None:
    """tests/unit/service/telemetry/test_push.py reads the names off a push."""
    made = programs["hybrid"]
    listed = shown(made) | {named for alarm in made.of("MetricAlarm") for named in referred(alarm)}
    own_ones = {(of, name) for space, of, name in listed if space == "service"}
    functions = {(of, name) for _, of, name in FUNCTIONS if name in {"hourly_cost_usd", "unpriced_resources"}}
    of_edges = {(of, name) for _, of, name in EDGE} | {(frozenset({"Service"}), name) for name in PUSHED}
    assert own_ones == of_edges | functions


# The guide's alerts and the issue's, by topology: a set of alarms, or why there is none.
NO_PLATFORM = "the platform has no such number"
ALERTS: dict[str, dict[str, str]] = {
    "errors": {},
    "latency": {},
    "endpoint-down": {},
    "hourly-cost": {},
    "burn-fast": {},
    "burn-slow": {},
    "slow-answers": {},
    "saturated": {},
    "degraded": {},
    "endpoint-idle": {},
    "no-traffic": {"hybrid": "an edge is idle at night, and edge-silent says when it is offline"},
    "unavailable": {"hybrid": "an edge answers its own machine alone"},
    "canary-silent": {"hybrid": "there is no canary"},
    "certificate": {"hybrid": "there is no public name"},
    "generator-failing": {"hybrid": "the model is local; endpoint-failing watches the one behind it"},
    "openai-limited": {"hybrid": "an edge asks no OpenAI"},
    "fallback": dict.fromkeys(("prod", "lambda", "eks"), "nothing falls back"),
    "edge-silent": dict.fromkeys(("prod", "lambda", "eks"), "there is no edge"),
    "copies-missing": {"lambda": NO_PLATFORM, "hybrid": "edge-silent is that of a host"},
    "copies-at-most": {"lambda": "throttles and concurrency say it", "hybrid": "a host does not scale"},
    "throttles": dict.fromkeys(("prod", "eks", "hybrid"), "there is no function"),
    "disk": dict.fromkeys(("prod", "lambda", "eks", "hybrid"), "no store of its own in this case"),
    "backup-missed": dict.fromkeys(("prod", "lambda", "eks", "hybrid"), "no store of its own in this case"),
}


def test_each_alert_exists_in_each_topology_or_there_is_a_reason(programs: dict[str, offline.Program]) -> None:
    for topology in ("prod", "lambda", "eks", "hybrid"):
        made = programs[topology]
        said = [each.inputs["alarmDescription"] for each in (*made.of("MetricAlarm"), *made.of("CompositeAlarm"))]
        there = {text.rpartition("#alarm-")[2] for text in said}
        wanted = {alert for alert, without in ALERTS.items() if topology not in without}
        assert wanted <= there, topology
        assert there & {alert for alert, without in ALERTS.items() if topology in without} == set(), topology


def test_a_failed_fallback_of_an_edge_is_brought_back_as_in_the_cloud(programs: dict[str, offline.Program]) -> None:
    made = programs["hybrid"]
    rule = made.one("CompositeAlarm", "-endpoint-down").inputs["alarmRule"]
    assert rule == 'ALARM("rag-platform-prod-endpoint-failing")'
    assert made.one("EventRule", "redeploy-alarm").inputs["eventPattern"].count("rag-platform-prod-endpoint-down") == 1
    assert made.outputs["dashboardUrl"].endswith("#dashboards/dashboard/rag-platform-prod")


def test_all_that_the_service_emits_is_shown(programs: dict[str, offline.Program]) -> None:
    whole = {named for named in known() if named[:2] == ("service", frozenset({"Service"}))} - EDGE
    assert {name for _, _, name in whole - shown(programs["prod"])} == {"unpriced_queries"}


def test_widgets_do_not_overlap_and_their_math_has_its_metrics(programs: dict[str, offline.Program]) -> None:
    page = json.loads(programs["prod"].one("dashboard:Dashboard").inputs["dashboardBody"])
    places = {(x, y) for w in page["widgets"] for x in range(w["x"], w["x"] + w["width"]) for y in rows_of(w)}
    assert len(places) == sum(w["width"] * w["height"] for w in page["widgets"])
    assert all(w["x"] + w["width"] <= 24 for w in page["widgets"])
    for widget in page["widgets"]:
        options = [line[-1] for line in widget["properties"].get("metrics", ())]
        ids = [option["id"] for option in options if "id" in option]
        assert len(ids) == len(set(ids))
        for expression in (option["expression"] for option in options if "expression" in option):
            assert set(re.findall(r"\bs\d+\w+", expression)) <= set(ids)


def rows_of(widget: dict[str, Any]) -> range:
    return range(widget["y"], widget["y"] + widget["height"])


def test_a_missed_backup_is_heard_of_wherever_stores_are_saved(programs: dict[str, offline.Program]) -> None:
    listed = {case: {each.name for each in made.of("MetricAlarm")} for case, made in programs.items()}
    missed = {case: {name for name in names if "-backup-missed-" in name} for case, names in listed.items()}
    assert missed.pop("eks-self-hosted") == {f"rag-platform-prod-backup-missed-{kind}" for kind in ("mongo", "qdrant")}
    assert missed.pop("prod-self-hosted") == {"rag-platform-prod-backup-missed-volumes"}
    assert set().union(*missed.values()) <= {"rag-platform-dev-backup-missed-volumes"}
    jobs = programs["eks-self-hosted"].of("CronJob")
    told = [each.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"] for each in jobs]
    assert all("--metrics rag-platform/prod" in " ".join(map(str, args)) for args in told)
    volumes = programs["prod-self-hosted"].one("MetricAlarm", "-backup-missed-volumes").inputs
    (of,) = [query["metric"] for query in volumes["metricQueries"] if "metric" in query]
    policy = programs["prod-self-hosted"].one("dlm/lifecyclePolicy:LifecyclePolicy")
    assert of["dimensions"]["DLMPolicyId"] == f"{policy.name}-id"


def test_the_endpoints_dimensions_are_the_ones_that_opsctl_deploys_with() -> None:
    assert VARIANT == names.VARIANT


def test_every_alarm_says_where_to_read_on_and_somebody_hears_it(programs: dict[str, offline.Program]) -> None:
    for made in programs.values():
        plain, composites = made.of("MetricAlarm"), made.of("CompositeAlarm")
        rules = " ".join(each.inputs["alarmRule"] for each in composites)
        for alarm in (*plain, *composites):
            said = re.search(r"What to do: docs/operations.md#([a-z0-9-]+)$", alarm.inputs["alarmDescription"])
            assert said, alarm.name
            assert said.group(1) in headings()
            told = alarm.inputs.get("alarmActions")
            assert told == alarm.inputs.get("okActions")
            assert told or f'"{alarm.name}"' in rules, alarm.name


def headings() -> set[str]:
    """Anchors of the runbook's entries, as GitHub makes them of headings."""
    found = re.findall(r"^#+ (Alarm: .*)$", RUNBOOK, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in found}


def test_every_alarm_has_its_runbook_entry_and_every_entry_its_alarm() -> None:
    assert headings() == {anchor(each) for each in (*alarms(), *of_function())}


def test_names_of_alarms_are_unique() -> None:
    listed = [each.name for each in alarms()]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("front", "threshold"),
    [
        (load_balancer("app/lb/1", "targetgroup/t/1"), 10),
        (rest_api("api", "live"), 10_000),
        (service_alone("rag-platform/s"), 10_000),
    ],
)
def test_the_guides_latency_is_in_the_unit_of_each_platform(front: Any, threshold: float) -> None:
    (latency,) = [each for each in deployment_alarms(front, CONFIG) if each.name == "latency"]
    assert latency.threshold == threshold
    assert {each.name for each in deployment_alarms(front, CONFIG)} >= {"errors", "latency"}


def test_the_first_phase_of_a_stack_has_the_deployments_alarms_alone() -> None:
    assert standing_alarms(everything(serves=False), CONFIG, Budget()) == ()


def test_an_endpoint_that_scales_to_zero_is_never_called_idle() -> None:
    listed = {each.name for each in alarms(everything(component="twin-main"))}
    assert "endpoint-idle" not in listed
    assert "endpoint-down" in listed


def test_without_an_endpoint_the_models_failures_page_by_themselves() -> None:
    (failing,) = [
        each for each in alarms(everything(endpoint=None, generator="openai")) if each.name == "generator-failing"
    ]
    assert failing.severity == "pager"


def test_the_alarms_that_a_deployment_is_taken_back_on_are_the_ones_that_ecs_gets(
    programs: dict[str, offline.Program],
) -> None:
    made = programs["prod"]
    given = made.one("ecs/service:Service").inputs["alarms"]
    assert (given["enable"], given["rollback"]) == (True, True)
    blocking = {each.name for each in alarms() if isinstance(each, Alarm) and each.blocks}
    assert {name.removeprefix("rag-platform-prod-") for name in given["alarmNames"]} == blocking


def test_a_link_to_the_runbook_can_be_a_page_of_your_own() -> None:
    address = "https://runbook.example.com/operations"
    stack, more = CASES["prod"]
    made = offline.declare(config(stack, {**more, "monitoring": {"runbookUrl": address}}))
    assert all(f"{address}#alarm-" in each.inputs["alarmDescription"] for each in made.of("MetricAlarm"))


def test_the_price_of_the_services_metrics_counts_what_it_emits() -> None:
    """Three routes that are asked and five dependencies; `opsctl/cost/usage` says so in words."""
    names = {tuple(each["dimensions"]): len(each["names"]) for each in EMITTED}
    counted = len(FUNCTIONS) + names["Service",] + 3 * names["Service", "Route"] + 5 * names["Service", "Dependency"]
    figures = yaml.safe_load((ROOT / "opsctl" / "cost" / "usage" / "expected.yaml").read_text())["figures"]
    assert int(figures["service_metrics"]["value"]) == counted


def test_a_line_of_the_service_reaches_cloudwatch_in_every_topology(programs: dict[str, offline.Program]) -> None:
    """stdout -> the platform's own way -> the log group that metrics are made from."""
    group = "/rag/prod/service"
    (container,) = json.loads(programs["prod"].one("TaskDefinition").inputs["containerDefinitions"])
    assert container["logConfiguration"]["logDriver"] == "awslogs"
    assert container["logConfiguration"]["options"]["awslogs-group"] == programs["prod"].outputs["logs"]["group"]
    assert {"name": "RAG_EMF_NAMESPACE", "value": "rag-platform/prod"} in container["environment"]
    function = programs["lambda"].one("lambda/function:Function", "-function").inputs
    assert function["loggingConfig"]["logGroup"] == programs["lambda"].one("LogGroup", "-service").inputs["name"]
    assert function["environment"]["variables"]["RAG_EMF_NAMESPACE"] == "rag-platform/prod"
    addons = {each.inputs["addonName"]: each.inputs for each in programs["eks"].of("eks/addon:Addon")}
    assert group in json.dumps(addons["amazon-cloudwatch-observability"])
    assert "rag-platform/prod" in json.dumps([each.inputs for each in programs["eks"].of("v1:ConfigMap")])
    edge = json.loads(programs["hybrid"].one("rolePolicy:RolePolicy", "edge-policy").inputs["policy"])
    (push,) = [each for each in edge["Statement"] if "cloudwatch:PutMetricData" in each["Action"]]
    assert push["Condition"] == {"StringEquals": {"cloudwatch:namespace": "rag-platform/prod"}}
