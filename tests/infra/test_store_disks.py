"""Stores say how full their volumes are, on instances and in pods, under the names that alarms and pages read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from infra import offline
from infra.components.kube.volume_report import SCRIPT
from infra.components.store_scripts import DISK_LABELS, agent_settings
from tests.infra import test_ecs_resources, test_eks_resources
from tests.infra.cloud_cases import config

STORES = ("mongo", "qdrant", "redis")


@pytest.fixture(scope="module")
def on_instances() -> offline.Program:
    return offline.declare(config(*test_ecs_resources.CASES["prod-self-hosted"]))


@pytest.fixture(scope="module")
def in_pods() -> offline.Program:
    return offline.declare(config(*test_eks_resources.CASES["prod-self-hosted"]))


def read_by_alarms(program: offline.Program) -> dict[str, dict[str, Any]]:
    """Store -> dimensions of what the alarms on its volume look at."""
    found: dict[str, dict[str, Any]] = {}
    for alarm in program.of("MetricAlarm"):
        if named := re.search(r"-disk-(full-)?([a-z]+)$", alarm.name):
            assert alarm.inputs["metricName"] == "disk_used_percent"
            assert alarm.inputs["namespace"] == "rag-platform/prod"
            assert alarm.inputs["statistic"] == "Maximum"
            assert found.setdefault(named[2], alarm.inputs["dimensions"]) == alarm.inputs["dimensions"]
    return found


def agents_document(boot: str) -> dict[str, Any]:
    return dict(json.loads(re.findall(r"<<'AGENT'\n(.*?)\nAGENT\n", boot, re.DOTALL)[0]))


def test_an_instance_runs_cloudwatchs_agent_for_what_its_alarms_read(on_instances: offline.Program) -> None:
    alarms = read_by_alarms(on_instances)
    hosts = {each.name: each.inputs["userData"] for each in on_instances.of("ec2/instance:Instance")}
    assert {name for name in STORES if any(f"-{name}-" in host for host in hosts)} == alarms.keys()
    for host, boot in hosts.items():
        document = agents_document(boot)
        (store,) = (name for name in STORES if f"-{name}-" in host)
        disk = document["metrics"]["metrics_collected"]["disk"]
        assert document["metrics"]["namespace"] == "rag-platform/prod"
        assert document["agent"]["omit_hostname"], "or each instance would be a metric of its own"
        # the agent calls `used_percent` of its plugin `disk` so, and adds the path and the file system
        assert (disk["measurement"], disk["drop_device"]) == (["used_percent"], True)
        assert {**disk["append_dimensions"], **DISK_LABELS} == alarms[store]
        assert f"mkdir -p {DISK_LABELS['path']}\n" in boot
        assert f"mkfs.{DISK_LABELS['fstype']} " in boot
        assert "dnf install -y docker amazon-cloudwatch-agent\n" in boot
        assert boot.index("docker run -d") < boot.index("amazon-cloudwatch-agent-ctl"), "the store comes first"


def test_the_boot_script_is_one_that_bash_reads(on_instances: offline.Program) -> None:
    for host in on_instances.of("ec2/instance:Instance"):
        done = subprocess.run(
            ["/bin/bash", "-n"], input=host.inputs["userData"], text=True, check=False, capture_output=True
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_an_instance_may_write_into_the_stacks_namespace_alone(on_instances: offline.Program) -> None:
    policies = [each for each in on_instances.of("rolePolicy:RolePolicy") if "-host-policy" in each.name]
    assert policies
    for policy in policies:
        statements = json.loads(policy.inputs["policy"])["Statement"]
        (push,) = [each for each in statements if "cloudwatch:PutMetricData" in each["Action"]]
        assert push["Condition"] == {"StringEquals": {"cloudwatch:namespace": "rag-platform/prod"}}


def sidecars(program: offline.Program) -> dict[str, dict[str, Any]]:
    made = {}
    for each in program.of("v1:StatefulSet"):
        (container,) = each.inputs["spec"]["template"]["spec"]["initContainers"]
        made[each.inputs["metadata"]["name"]] = container
    return made


def test_a_pods_sidecar_says_what_its_alarms_read(in_pods: offline.Program, tmp_path: Any) -> None:
    alarms, beside = read_by_alarms(in_pods), sidecars(in_pods)
    assert alarms.keys() == beside.keys()
    for store, container in beside.items():
        assert container["restartPolicy"] == "Always"
        told = {each["name"]: each["value"] for each in container["env"]}
        assert container["volumeMounts"] == [{"name": "data", "mountPath": told["VOLUME"], "readOnly": True}]
        document = said(container["command"], told | {"VOLUME": str(tmp_path)})
        (metric,) = document["_aws"]["CloudWatchMetrics"]
        assert metric["Namespace"] == "rag-platform/prod"
        assert metric["Metrics"] == [{"Name": "disk_used_percent", "Unit": "Percent"}]
        assert {name: document[name] for name in metric["Dimensions"][0]} == alarms[store]
        usage = shutil.disk_usage(tmp_path)
        assert abs(document["disk_used_percent"] - 100 * usage.used / (usage.used + usage.free)) < 2


def said(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The first line of the sidecar, which ends at once when it is told to."""
    known = environment | {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, env=known, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=30) == 0
    return dict(json.loads(line))


def test_the_sidecar_is_one_that_any_posix_shell_reads() -> None:
    done = subprocess.run(["/bin/sh", "-n"], input=SCRIPT, text=True, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_config_of_the_agent_is_of_one_store() -> None:
    disk = json.loads(agent_settings("rag-platform/dev", "mongo"))["metrics"]["metrics_collected"]["disk"]
    assert disk["append_dimensions"] == {"Service": "rag-platform", "Store": "mongo"}
