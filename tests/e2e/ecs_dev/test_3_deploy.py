"""`opsctl deploy` and `opsctl rollback` on the stack `dev`: the platform's word, and a real service that answers.

The service runs as its task definition says, under the stand-in of the container runtime (tests/e2e/runtime.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.contract.conftest import Library
from tests.e2e import outcomes
from tests.e2e.backends import backends
from tests.e2e.ecs_dev.cases import BROKEN, FIRST, REGION, SECOND, THIRD, client, running_task
from tests.e2e.runtime import ContainerRuntime
from tests.e2e.stack import Stack, dropped
from tests.real_processes import Running, wait_until
from tests.unit.opsctl.conftest import Ended

GOLDEN = """questions:
  - {question: What did the Jacquard loom weave?, title: Looms, cited: true}
  - {question: What was the first actual bug in a relay of the computer?, title: Moth}
"""
WRONG = "questions: [{question: What did the Jacquard loom weave?, title: Bombe}]"


@pytest.fixture(scope="module")
def runtime(
    stack: Stack,
    library: Library,
    redis: Running,
    mongo: Running,
    llama_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ContainerRuntime]:
    cluster = stack.outputs()["cluster"]
    runtime = ContainerRuntime(cluster["name"], cluster["service"], REGION, tmp_path_factory.mktemp("tasks"))
    with backends(library, redis, mongo, llama_url, runtime.issued) as runtime.overrides, runtime.running():
        runtime.wait_for(running_task(stack))
        yield runtime


@dataclass
class Operator:
    """Types opsctl in the stack's project folder, without a key of the service: the stack has one."""

    stack: Stack
    url: str
    golden: Path = field(init=False)

    def __post_init__(self) -> None:
        self.golden = self.stack.folder / "golden.yaml"
        self.golden.write_text(GOLDEN)

    def types(self, command: str, *more: str) -> Ended:
        opsctl = str(Path(sys.executable).with_name("opsctl"))
        test = ["--url", self.url, "--golden", str(self.golden), "--timeout", "60", "--output", "json"]
        words = [opsctl, command, "--stack", self.stack.name, "--yes", *test, *more]
        done = self._once(words)
        if dropped(done):
            done = self._once(words)
        return Ended(done.returncode, done.stdout, done.stderr)

    def _once(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        keyless = {name: value for name, value in os.environ.items() if name != "RAG_API_KEY"}
        done = subprocess.run(words, cwd=self.stack.folder, env=keyless, capture_output=True, text=True, check=False)
        self.stack.log += [done.stdout, done.stderr]
        return done


@pytest.fixture(scope="module")
def operator(stack: Stack, runtime: ContainerRuntime) -> Operator:
    return Operator(stack, runtime.url)


class Caller:
    """Asks the whole time; keeps what was not answered."""

    def __init__(self, url: str) -> None:
        self._url, self._stopped = url, threading.Event()
        self.answered, self.refused = 0, []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=30) as http:
            while not self._stopped.wait(0.1):
                answer = http.get("/readyz")
                self.answered += answer.is_success
                if not answer.is_success:
                    self.refused.append(answer.text)


def test_the_service_runs_with_exactly_what_the_task_declares(stack: Stack, runtime: ContainerRuntime) -> None:
    declared = dict(runtime.task.declared)
    assert declared["OPENAI_API_KEY"] == "planted-openaiApiKey"  # fetched by its ARN
    assert declared["RAG_RELEASE"] == stack.outputs()["release"]["image"] == FIRST

    def health() -> dict[str, Any]:
        return dict(httpx.get(f"{runtime.url}/health", trust_env=False, timeout=30).json())

    assert health()["release"] == FIRST
    up = {"vectorStore": "up", "documents": "up", "generator": "up", "cache": "up"}
    # on a busy machine one of them may have no time to answer
    wait_until(lambda: health()["dependencies"] == up, within_s=60, what="the dependencies, all of them up")
    keyless = httpx.post(f"{runtime.url}/search", json={"query": "looms"}, trust_env=False)
    assert keyless.status_code == 401


def test_a_deployment_is_proved_by_the_platform_and_by_a_real_answer(
    stack: Stack, runtime: ContainerRuntime, operator: Operator
) -> None:
    stack.set("scaling.cpuPercent", 60)
    stack.set("secrets.openaiApiKey", "planted-rotated", secret=True)
    with Caller(runtime.url) as caller:
        done = operator.types("deploy", "--no-preflight", "--image", SECOND)
    assert done.code == 0, done.err
    assert "update aws:appautoscaling/policy:Policy" in done.err
    assert done.document["verdict"]["status"] == "running"
    assert done.document["running"]["images"] == [SECOND]
    answer = {each["name"]: each["evidence"] for each in done.document["smokeTest"]["checks"]}
    assert answer["readyz"]["release"] == SECOND
    assert answer["rag"]["sources"][0]["title"] == "Looms"
    assert answer["rag"]["servedBy"] == "cloud"
    assert runtime.task.declared["OPENAI_API_KEY"] == "planted-rotated"
    assert (caller.answered > 0, caller.refused) == (True, [])  # the old task answered until the new one was healthy
    wait_until(lambda: runtime.exit_codes == [0], within_s=60, what="the old task's end")  # drained


def test_applied_edits_arrive_and_the_preview_is_empty_again(stack: Stack) -> None:
    outputs = stack.outputs()
    assert outputs["release"]["image"] == SECOND
    assert running_task(stack) == outputs["release"]["revision"]
    rotated = client("secretsmanager").get_secret_value(SecretId=outputs["secrets"]["openaiApiKey"])
    assert rotated["SecretString"] == "planted-rotated"
    assert stack.unchanged(), stack.log[-1]


def test_an_image_that_does_not_start_is_exit_code_5_though_the_engine_said_success(
    stack: Stack, runtime: ContainerRuntime, operator: Operator
) -> None:
    good = running_task(stack)
    done = operator.types("deploy", "--no-preflight", "--no-rollback", "--image", BROKEN)
    assert done.code == 5, done.err
    assert done.document["verdict"]["status"] == "rolled back"
    assert "opsctl rollback" in done.err.splitlines()[-1]
    assert json.loads(stack.run("stack", "history", "--json").stdout)[0]["result"] == "succeeded"
    assert running_task(stack) == good
    assert runtime.task.revision == good


def test_a_rollback_runs_the_image_before_and_proves_it(
    stack: Stack, runtime: ContainerRuntime, operator: Operator
) -> None:
    done = operator.types("rollback")
    assert done.code == 0, done.err
    assert f"going back to {SECOND}" in done.err
    assert stack.config()["rag-platform:service"]["image"] == SECOND
    runtime.wait_for(running_task(stack))
    assert httpx.get(f"{runtime.url}/readyz", trust_env=False).json()["release"] == SECOND


def test_what_would_not_hold_is_refused_before_anything_changes(stack: Stack, operator: Operator) -> None:
    done = operator.types("deploy", "--image", BROKEN)
    assert done.code == 1, done.err
    failed = {each["name"] for each in done.document["preflight"] if each["status"] == "failed"}
    assert "model endpoint" in failed, "it is deployed by the tests after this one"
    assert "would not hold; nothing was created" in done.err.splitlines()[-1]
    assert stack.config()["rag-platform:service"]["image"] == SECOND


def test_what_does_not_start_is_taken_back_and_proved_by_itself(
    stack: Stack, runtime: ContainerRuntime, operator: Operator
) -> None:
    done = operator.types("deploy", "--no-preflight", "--image", BROKEN)
    assert done.code == 5, done.err
    assert done.document["verdict"]["status"] == "rolled back"
    assert done.document["wayBack"]["running"]["images"] == [SECOND]
    assert done.document["wayBack"]["smokeTest"]["ok"]
    assert f"went back to {SECOND}, which runs" in done.err.splitlines()[-1]
    assert stack.config()["rag-platform:service"]["image"] == SECOND


def test_an_image_that_has_no_good_answer_is_taken_back(stack: Stack, runtime: ContainerRuntime) -> None:
    def runs() -> str:
        task = client("ecs").describe_task_definition(taskDefinition=running_task(stack))["taskDefinition"]
        return next(each["image"] for each in task["containerDefinitions"] if each["image"] in {SECOND, THIRD})

    outcomes.is_taken_back_where_the_smoke_test_fails(stack, THIRD, SECOND, runs)
    runtime.wait_for(running_task(stack))


def test_a_smoke_test_that_fails_after_a_good_rollout_is_exit_code_1(operator: Operator) -> None:
    operator.golden.write_text(WRONG)
    done = operator.types("deploy", "--no-preflight")
    assert done.code == 1
    assert (done.document["changes"], done.document["verdict"]["status"]) == ({}, "running")
    assert "opsctl rollback" in done.err.splitlines()[-1]


def test_a_wrong_config_is_refused(stack: Stack) -> None:
    outcomes.is_refused_for_a_wrong_config(stack, lambda: running_task(stack))
