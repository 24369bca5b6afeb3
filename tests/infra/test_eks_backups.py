"""Backups on Kubernetes: each night, by the service's own image, with a role that may do no more than that."""

import json
from typing import Any

import pytest

from infra import offline
from service import settings
from service.jobs import backup
from tests.infra.cloud_cases import program
from tests.infra.kube_cases import ROOM, STORES


@pytest.fixture(scope="module")
def declared() -> offline.Program:
    return program("prod", topology="eks", **ROOM, **STORES)


def job(declared: offline.Program, kind: str) -> dict[str, Any]:
    return dict(declared.one("CronJob", f"backup-{kind}").inputs["spec"])


def pod(declared: offline.Program, kind: str) -> dict[str, Any]:
    return dict(job(declared, kind)["jobTemplate"]["spec"]["template"]["spec"])


def test_databases_are_saved_each_night_and_a_cache_is_not(declared: offline.Program) -> None:
    assert sorted(each.name.rpartition("-")[2] for each in declared.of("CronJob")) == ["mongo", "qdrant"]
    assert job(declared, "mongo")["schedule"] == "0 3 * * *"
    assert job(declared, "mongo")["concurrencyPolicy"] == "Forbid"
    lifecycle = declared.one("BucketLifecycleConfiguration", "backups-lifecycle").inputs["rules"][0]
    assert lifecycle["expiration"] == {"days": 14}


@pytest.mark.parametrize("kind", ["mongo", "qdrant"])
def test_the_job_is_one_that_the_service_has(declared: offline.Program, kind: str) -> None:
    (container,) = pod(declared, kind)["containers"]
    assert container["command"] == ["python", "-m", "service.jobs.backup"]
    options = backup._parser().parse_args(container["args"])
    assert (options.what, options.store) == ("save", kind)
    assert options.to.startswith("s3://")
    assert container["image"] == declared.outputs["release"]["image"]


def test_every_node_of_qdrant_is_asked_by_its_own_name(declared: offline.Program) -> None:
    (container,) = pod(declared, "qdrant")["containers"]
    assert [word for word in container["args"] if word.startswith("http")] == [
        f"http://qdrant-{number}.qdrant-peers.rag-prod.svc.cluster.local:6333" for number in range(3)
    ]


@pytest.mark.parametrize("kind", ["mongo", "qdrant"])
def test_it_is_told_what_it_needs_in_the_services_names(declared: offline.Program, kind: str) -> None:
    (container,) = pod(declared, kind)["containers"]
    told = {each["name"]: each["value"] for each in container["env"]}
    assert told.keys() - {"AWS_REGION", "RAG_SECRETS_FROM"} <= settings.environment_names().keys()
    (named,) = json.loads(told["RAG_SECRETS_FROM"])
    assert named in settings.secret_names()


def test_its_role_reads_two_secrets_and_writes_one_bucket(declared: offline.Program) -> None:
    policy = json.loads(declared.one("rolePolicy:RolePolicy", "backup-policy").inputs["policy"])["Statement"]
    reads = next(each for each in policy if each["Action"] == ["secretsmanager:GetSecretValue"])
    assert len(reads["Resource"]) == 2
    (writes,) = [each for each in policy if "s3:PutObject" in each["Action"]]
    assert "s3:DeleteObject" not in writes["Action"]
    assert all("backups" in each for each in writes["Resource"])
    bound = declared.one("PodIdentityAssociation", "backup").inputs
    assert (bound["namespace"], bound["serviceAccount"]) == ("rag-prod", "backup")


def test_its_pods_are_as_bounded_as_the_others_and_reach_stores_and_aws_alone(declared: offline.Program) -> None:
    own = declared.one("apps/v1:Deployment").inputs["spec"]["template"]["spec"]
    spec = pod(declared, "mongo")
    assert spec["securityContext"] == own["securityContext"]
    assert spec["containers"][0]["securityContext"] == own["containers"][0]["securityContext"]
    ways = declared.one("NetworkPolicy", "-backup").inputs["spec"]
    assert "ingress" not in ways
    ports = sorted(port["port"] for each in ways["egress"] for port in each["ports"])
    assert ports == [80, 443, 6333, 27017]


def test_without_an_image_nothing_could_save_them() -> None:
    more = {**STORES, "retrieval": STORES["retrieval"] | {"url": None}}
    assert program("prod", topology="eks", service={"image": None}, **ROOM, **more).of("CronJob") == []
