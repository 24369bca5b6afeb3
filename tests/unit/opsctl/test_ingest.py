"""`opsctl ingest`: a task on ECS, a Job on EKS, a process here; its lines, its exit code, and no secret on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opsctl.jobs import here, watch
from opsctl.jobs.ingest import told_here
from opsctl.kube.jobs import once
from opsctl.stack import Delivery
from tests.infra.cloud_cases import config
from tests.unit.opsctl.conftest import Reply
from tests.unit.opsctl.played_aws import PlayedAws

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run

TASK = "arn:aws:ecs:eu-north-1:123456789012:task/rag/0f1e"
STREAM = "service/service/0f1e"
COMMAND = ["python", "-m", "service.jobs.{job}"]
ECS = {
    "topology": "ecs",
    "region": "eu-north-1",
    "cluster": {"name": "rag", "service": "api"},
    "jobs": {
        "kind": "ecs-task",
        "cluster": "rag",
        "taskDefinition": "rag:7",
        "container": "service",
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroup": "sg-1",
        "command": COMMAND,
    },
}
MADE = {
    "containerDefinitions": [
        {
            "name": "service",
            "logConfiguration": {
                "options": {"awslogs-group": "/rag/dev/service", "awslogs-stream-prefix": "service"},
            },
        }
    ]
}
RAN = ["python", "-m", "service.jobs.ingest", "--mongo", "--qdrant", "--workers"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch.time, "sleep", lambda _: None)
    monkeypatch.setattr(watch.watch, "__kwdefaults__", {"poll_s": 0.0, "sleep": lambda _: None})


def delivers(monkeypatch: pytest.MonkeyPatch, delivery: dict[str, Any]) -> None:
    monkeypatch.setattr("opsctl.jobs.ingest.read_delivery", lambda *_: Delivery.model_validate(delivery))


def event(text: str) -> dict[str, Any]:
    at = 4_000_000_000_000  # long after this test began
    return {"eventId": text, "timestamp": at, "logStreamName": STREAM, "message": text}


@pytest.fixture
def ecs(aws: PlayedService, monkeypatch: pytest.MonkeyPatch) -> PlayedAws:
    delivers(monkeypatch, ECS)
    tasks = iter(["PENDING", "RUNNING", "STOPPED", "STOPPED"])
    played = PlayedAws(aws)

    def task(_: dict[str, Any]) -> dict[str, Any]:
        return {"tasks": [{"lastStatus": next(tasks), "containers": [{"name": "service", "exitCode": 0}]}]}

    played.answers |= {
        "DescribeServices": {
            "services": [{"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}]
        },
        "DescribeTaskDefinition": {"taskDefinition": MADE},
        "RunTask": {"tasks": [{"taskArn": TASK}], "failures": []},
        "DescribeTasks": task,
        "FilterLogEvents": {"events": [event("articles: 3 read")]},
    }
    return played


class TestOnEcs:
    def test_a_task_runs_the_job_with_the_services_definition_network_and_capacity(
        self, opsctl: Run, ecs: PlayedAws
    ) -> None:
        done = opsctl("ingest", "--stack", "dev", "--workers", "3", "-o", "json", "--", "--summaries", "summaries")
        assert done.code == 0, done.err
        assert done.document == {
            "version": 1, "stack": "dev", "job": "task 0f1e", "where": "ecs", "ended": True
        }  # fmt: skip
        assert done.err.splitlines().count("articles: 3 read") == 1, "each line once"
        (asked,) = ecs.bodies("RunTask")
        assert asked["overrides"] == {
            "containerOverrides": [{"name": "service", "command": [*RAN, "3", "--summaries", "summaries"]}]
        }
        assert asked["taskDefinition"] == "rag:7"
        assert (asked["launchType"], "capacityProviderStrategy" in asked) == ("FARGATE", False)
        network = asked["networkConfiguration"]["awsvpcConfiguration"]
        assert network == {
            "subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"
        }  # fmt: skip
        assert {body["logStreamNamePrefix"] for body in ecs.bodies("FilterLogEvents")} == {STREAM}

    def test_a_pool_of_instances_carries_the_task_too(self, opsctl: Run, ecs: PlayedAws) -> None:
        pool = [{"capacityProvider": "pool", "weight": 1}]
        ecs.answers["DescribeServices"] = {"services": [{"capacityProviderStrategy": pool}]}
        assert opsctl("ingest", "--stack", "dev").code == 0
        (asked,) = ecs.bodies("RunTask")
        assert (asked["capacityProviderStrategy"], "launchType" in asked) == (pool, False)

    def test_an_exit_code_of_the_job_is_a_failed_check_with_its_last_line(self, opsctl: Run, ecs: PlayedAws) -> None:
        ecs.answers["DescribeTasks"] = {
            "tasks": [{"lastStatus": "STOPPED", "containers": [{"name": "service", "exitCode": 1}]}]
        }
        ecs.answers["FilterLogEvents"] = {"events": [event("read 3"), event("ingest: Qdrant gave no answer")]}
        done = opsctl("ingest", "--stack", "dev")
        assert done.code == 1
        assert "task 0f1e ended with 1: ingest: Qdrant gave no answer" in done.err.splitlines()[-1]

    def test_a_container_that_never_started_is_the_clouds_refusal(self, opsctl: Run, ecs: PlayedAws) -> None:
        ecs.answers["DescribeTasks"] = {
            "tasks": [{"lastStatus": "STOPPED", "stoppedReason": "CannotPullContainerError", "containers": []}]
        }
        done = opsctl("ingest", "--stack", "dev")
        assert (done.code, "did not start: CannotPullContainerError" in done.err) == (3, True)

    def test_no_capacity_is_told_in_ecs_words(self, opsctl: Run, ecs: PlayedAws) -> None:
        ecs.answers["RunTask"] = {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}
        done = opsctl("ingest", "--stack", "dev")
        assert (done.code, "RESOURCE:MEMORY" in done.err) == (3, True)

    def test_unawaited_it_says_how_to_end_it(self, opsctl: Run, ecs: PlayedAws) -> None:
        done = opsctl("ingest", "--stack", "dev", "--no-wait")
        assert (done.code, ecs.bodies("DescribeTasks")) == (0, [])
        assert "aws ecs stop-task --cluster rag --task 0f1e" in done.out

    def test_a_watcher_that_gives_up_leaves_the_task_running(self, opsctl: Run, ecs: PlayedAws) -> None:
        ecs.answers["DescribeTasks"] = {"tasks": [{"lastStatus": "RUNNING"}]}
        done = opsctl("ingest", "--stack", "dev", "--timeout", "0")
        assert (done.code, "still runs after 0 s; it goes on" in done.err) == (4, True)

    def test_outputs_of_an_older_opsctl_are_said_to_be_so(
        self, opsctl: Run, ecs: PlayedAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivers(monkeypatch, {**ECS, "jobs": {"kind": "ecs-task", "cluster": "rag"}})
        done = opsctl("ingest", "--stack", "dev")
        assert (done.code, "taskDefinition" in done.err, ecs.asked) == (2, True, [])


KUBE = {
    "topology": "eks",
    "region": "eu-north-1",
    "cluster": {"name": "rag-dev", "service": "rag-dev/rag-api"},
    "jobs": {
        "kind": "kubernetes-job",
        "cluster": "rag-dev",
        "namespace": "rag-dev",
        "deployment": "rag-api",
        "container": "rag-api",
        "podLabel": "rag-job",
        "command": COMMAND,
    },
}
TEMPLATE = {
    "metadata": {
        "labels": {"app.kubernetes.io/name": "rag-api", "app.kubernetes.io/part-of": "rag-platform"},
        "annotations": {"rag-platform/revision": "aaaa"},
    },
    "spec": {
        "serviceAccountName": "rag-api",
        "securityContext": {"runAsNonRoot": True},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "initContainers": [{"name": "llama", "image": "r/llama"}],
        "containers": [
            {
                "name": "rag-api",
                "image": "r/rag@sha256:aa",
                "ports": [{"name": "http", "containerPort": 8000}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
                "envFrom": [{"configMapRef": {"name": "rag-api-1"}}],
            }
        ],
    },
}
JOBS = "/apis/batch/v1/namespaces/rag-dev/jobs"


@pytest.fixture
def kube(kube_api: PlayedService, monkeypatch: pytest.MonkeyPatch) -> PlayedService:
    delivers(monkeypatch, KUBE)
    monkeypatch.setattr("opsctl.kube.jobs.datetime", Noon)
    deployment = {"metadata": {"name": "rag-api"}, "spec": {"selector": {"matchLabels": {}}, "template": TEMPLATE}}
    kube_api.says("/apis/apps/v1/namespaces/rag-dev/deployments/rag-api", Reply(body=deployment))
    return kube_api


class Noon:
    """A clock that stands, since the Job is named for when it was made."""

    @staticmethod
    def now(_: object) -> Any:
        from datetime import datetime

        return datetime.fromisoformat("2026-11-26T12:00:00+00:00")

    @staticmethod
    def fromisoformat(text: str) -> Any:
        from datetime import datetime

        return datetime.fromisoformat(text)


NAME = "rag-job-20261126120000"
PODS = f"/api/v1/namespaces/rag-dev/pods?labelSelector=batch.kubernetes.io/job-name%3D{NAME}"


def kube_says(cluster: PlayedService, conditions: list[dict[str, Any]], state: dict[str, Any], log: str) -> list[Any]:
    made: list[Any] = []

    def create(body: dict[str, Any]) -> Reply:
        made.append(body)
        return Reply(201, body)

    cluster.answers[JOBS] = create
    cluster.says(f"{JOBS}/{NAME}", Reply(body={"metadata": {"name": NAME}, "status": {"conditions": conditions}}))
    status = {"name": "rag-api", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    pod = {
        "metadata": {"name": "p", "creationTimestamp": "2026-11-26T12:00:01Z"},
        "spec": {"containers": [{"name": "rag-api"}]},
        "status": {"containerStatuses": [status]},
    }
    cluster.says(PODS, Reply(body={"items": [pod]}))
    path = "/api/v1/namespaces/rag-dev/pods/p/log?sinceSeconds={}&timestamps=true"
    for seconds in range(1, 30):
        cluster.says(path.format(seconds), Reply(body=log, media_type="text/plain"))
    return made


class TestOnEks:
    def test_a_job_has_the_services_image_environment_and_identity_and_serves_nobody(
        self, opsctl: Run, kube: PlayedService
    ) -> None:
        done = [{"type": "Complete", "status": "True"}]
        log = "2126-11-26T12:00:02.123456789Z articles: 3 read\n"
        made = kube_says(kube, done, {"terminated": {"exitCode": 0}}, log)
        ended = opsctl("ingest", "--stack", "dev", "-o", "json")
        assert ended.code == 0, ended.err
        assert (ended.document["job"], ended.document["where"]) == (f"job/{NAME}", "eks")
        assert "articles: 3 read" in ended.err.splitlines()
        (job,) = made
        pod = job["spec"]["template"]
        assert pod["metadata"] == {
            "labels": {"app.kubernetes.io/name": "rag-job", "app.kubernetes.io/part-of": "rag-platform"}
        }
        (container,) = pod["spec"]["containers"]
        assert container == {
            "name": "rag-api",
            "image": "r/rag@sha256:aa",
            "envFrom": [{"configMapRef": {"name": "rag-api-1"}}],
            "command": [*RAN, "1"],
            "args": [],
        }
        assert pod["spec"]["restartPolicy"] == "Never"
        assert pod["spec"]["serviceAccountName"] == "rag-api"
        assert pod["spec"]["securityContext"] == {"runAsNonRoot": True}
        assert not pod["spec"].keys() & {"initContainers", "topologySpreadConstraints"}

    def test_a_failed_job_is_told_with_its_exit_code_and_last_line(self, opsctl: Run, kube: PlayedService) -> None:
        failed = [{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]
        log = "2126-11-26T12:00:02.123456789Z ingest: MongoDB gave no answer\n"
        kube_says(kube, failed, {"terminated": {"exitCode": 1, "reason": "Error"}}, log)
        ended = opsctl("ingest", "--stack", "dev")
        assert ended.code == 1
        assert f"job/{NAME} ended with 1: ingest: MongoDB gave no answer" in ended.err.splitlines()[-1]

    def test_an_image_that_can_not_be_pulled_is_not_waited_for(self, opsctl: Run, kube: PlayedService) -> None:
        kube_says(kube, [], {"waiting": {"reason": "ImagePullBackOff", "message": "no such digest"}}, "")
        ended = opsctl("ingest", "--stack", "dev")
        assert (ended.code, "did not start: ImagePullBackOff: no such digest" in ended.err) == (3, True)

    def test_what_the_template_was_is_left_alone(self) -> None:
        before = json.dumps(TEMPLATE)
        once(TEMPLATE, "rag-api", "rag-job", ["true"])
        assert json.dumps(TEMPLATE) == before


class TestHere:
    def test_a_function_has_no_machine_so_the_job_runs_on_this_one(
        self, opsctl: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivers(monkeypatch, {"topology": "lambda", "region": "eu-north-1", "secrets": {"mongoUrl": "arn:m"}})
        cfg = config("dev", {"topology": "lambda", "retrieval": {"url": "https://vectors.example.com:6333"}})
        monkeypatch.setattr("opsctl.jobs.ingest.read_stack_config", lambda *_: cfg)
        monkeypatch.setenv("QDRANT_APIKEY", "planted-key")
        monkeypatch.setenv("UNRELATED", "planted-other")
        seen: list[Any] = []
        monkeypatch.setattr("opsctl.jobs.ingest.run_here", lambda *asked: seen.append(asked))
        done = opsctl("ingest", "--stack", "dev", "--empty-ok")
        assert done.code == 0, done.err
        assert "runs on this one" in done.err
        ((name, words, environ, _),) = seen
        assert (name, words) == ("ingest", ["--mongo", "--qdrant", "--workers", "1", "--empty-ok"])
        assert environ["QDRANT_CLOUD_URL"] == "https://vectors.example.com:6333"
        assert environ["QDRANT_APIKEY"] == "planted-key", "the operator's own wins"
        assert json.loads(environ["RAG_SECRETS_FROM"]) == {"DATABASE_HOST": "arn:m"}
        assert environ["RAG_COLLECTIONS"] == "posts,articles,repos"
        assert "UNRELATED" not in environ

    def test_an_edge_of_a_folder_is_sent_to_the_deployment(self, opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        delivers(monkeypatch, {"topology": "hybrid", "jobs": {"kind": "process", "command": COMMAND}})
        cfg = config("dev", {"topology": "hybrid"})
        monkeypatch.setattr("opsctl.jobs.ingest.read_stack_config", lambda *_: cfg)
        done = opsctl("ingest", "--stack", "dev")
        assert done.code == 2
        assert "`opsctl deploy --stack dev` reads that again" in done.err.splitlines()[-1]

    def test_the_real_job_says_what_it_lacks(self, opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        delivers(monkeypatch, {"topology": "lambda"})
        cfg = config("dev", {"topology": "lambda", "retrieval": {"url": "http://127.0.0.1:9"}})
        monkeypatch.setattr("opsctl.jobs.ingest.read_stack_config", lambda *_: cfg)
        done = opsctl("ingest", "--stack", "dev")
        assert done.code == 1
        assert "DATABASE_HOST" in done.err.splitlines()[-1]
        told = told_here(cfg, Delivery(topology="lambda"), {"HOME": "/h", "AWS_PROFILE": "p"})
        assert (told["HOME"], told["AWS_PROFILE"], "RAG_SECRETS_FROM" in told) == ("/h", "p", False)
        assert here.machine("/h").keys() == {"PATH", "HOME", "LANG"}
