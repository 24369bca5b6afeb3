"""An endpoint of a stack on the cloud at hand: runs of opsctl's own code against it, and a census of what is there."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from typing import Any

import psutil

from opsctl.aws.documents import BucketDocument
from opsctl.aws.endpoint import SageMakerCloud
from opsctl.aws.endpoint_state import Clients
from opsctl.aws.session import client
from opsctl.endpoint.holder import is_gone, this_process
from opsctl.endpoint.lock import Lock
from opsctl.endpoint.names import ENDPOINT_TAG, STACK_TAG, Names
from opsctl.endpoint.run import EndpointRun, Options, Report
from opsctl.endpoint.spec import EndpointSpec
from tests.e2e.endpoint.aws_proxy import AwsProxy
from tests.unit.opsctl.endpoint.specs import ASLEEP, CLASSIC

REGION = "us-east-1"
BUCKET = "endpoint-journals"
NUMBERS = count()
SHAPES = {"classic": CLASSIC, "scale-to-zero": ASLEEP}
WHOLE = {
    "classic": {"model": 1, "config": 1, "endpoint": 1, "target": 1, "policy": 1, "alarm": 2},
    "scale-to-zero": {"model": 1, "config": 1, "endpoint": 1, "component": 1, "target": 1, "policy": 2, "alarm": 3},
}
QUICK = Options(poll_s=0.05, limit_s=60)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.e2e.endpoint.warm"])


@dataclass
class Talk:
    """A watch that remembers."""

    lines: list[str] = field(default_factory=list)

    def step(self, number: int, total: int, what: str) -> None:
        self.lines.append(f"[{number}/{total}] {what}")

    def waiting(self, what: str, elapsed_s: float) -> None:
        self.lines.append(what)

    def note(self, text: str) -> None:
        self.lines.append(text)


def named(spec: EndpointSpec) -> EndpointSpec:
    """The spec with an endpoint of its own, so that tests share a cloud."""
    name = f"twin{next(NUMBERS):04d}"  # none begins like another
    return replace(spec, endpoint=name, region=REGION, tags={STACK_TAG: spec.stack, ENDPOINT_TAG: name})


@cache
def clients() -> Clients:
    """Made once: reading the descriptions of the services costs more than a whole run."""
    return Clients.open(REGION)


@cache
def s3() -> Any:
    return client("s3", REGION)


def run_of(spec: EndpointSpec, options: Options = QUICK, consent: Callable[[Report], None] = lambda _: None) -> Any:
    """A run on the endpoint of `spec`, by the stack that owns it."""
    names = Names(spec.endpoint)
    document = BucketDocument(s3(), BUCKET, names.journal_key)
    return EndpointRun(
        stack=spec.stack,
        names=names,
        cloud=SageMakerCloud(clients(), spec.stack, spec.tags),
        lock=Lock(document, document.where, this_process(), is_gone),
        watch=Talk(),
        consent=consent,
        options=options,
    )


def act(action: str, spec: EndpointSpec, options: Options = QUICK) -> Report:
    run = run_of(spec, options)
    if action == "deploy":
        return run.deploy(spec)  # type: ignore[no-any-return]
    return (run.roll_back if action == "rollback" else run.delete)()  # type: ignore[no-any-return]


def _work(action: str, spec: EndpointSpec) -> None:
    report = act(action, spec)
    os._exit(0 if report.error is None else report.error.exit_code)


def started(action: str, spec: EndpointSpec) -> Any:
    """A run in a process of its own."""
    worker = PROCESSES.Process(target=_work, args=(action, spec))
    worker.start()
    return worker


def killed_at(proxy: AwsProxy, number: int, action: str, spec: EndpointSpec) -> int:
    """Run in a process that is killed with SIGKILL once its call `number` was done; gives its exit code."""
    worker = PROCESSES.Process(target=_work, args=(action, spec))
    proxy.forget()
    proxy.kill_after = number
    proxy.kill = lambda: psutil.Process(worker.pid).kill()  # type: ignore[assignment]
    worker.start()
    worker.join(120)
    assert worker.exitcode is not None
    proxy.forget()
    return worker.exitcode


def census(endpoint: str) -> dict[str, list[str]]:
    """What there is of an endpoint, asked without opsctl."""
    sagemaker, scaling, cloudwatch = clients().sagemaker, clients().scaling, clients().cloudwatch
    prefix = f"{endpoint}-"
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    models = [each["ModelName"] for each in sagemaker.list_models(NameContains=prefix)["Models"]]
    found = {
        "model": [name for name in models if name.startswith(prefix)],  # the emulator lists them all
        "config": [
            each["EndpointConfigName"]
            for each in sagemaker.list_endpoint_configs(NameContains=prefix)["EndpointConfigs"]
        ],
        "endpoint": [
            each["EndpointName"]
            for each in sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]
            if each["EndpointName"] == endpoint
        ],
        "component": [
            each["InferenceComponentName"]
            for each in sagemaker.list_inference_components(NameContains=prefix)["InferenceComponents"]
        ],
        "target": [each["ResourceId"] for each in targets if f"/{endpoint}" in each["ResourceId"]],
        "policy": [each["PolicyName"] for each in policies if each["PolicyName"].startswith(prefix)],
        "alarm": [each["AlarmName"] for each in cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]],
    }
    return {kind: sorted(names) for kind, names in found.items() if names}


def counts(endpoint: str) -> dict[str, int]:
    return {kind: len(names) for kind, names in census(endpoint).items()}
