"""Self-hosted data stores on Kubernetes: kept, closed, spread, started with a credential of their own."""

import json
from typing import Any

import pytest
import yaml

from infra import offline
from tests.infra.kube_cases import STORES, eks, workload

KINDS = ("qdrant", "mongo", "redis")


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return workload(eks("prod", **STORES))


@pytest.fixture(scope="module")
def dev() -> offline.Program:
    return workload(eks("dev", **STORES))


def store(declared: offline.Program, kind: str) -> dict[str, Any]:
    return dict(declared.one("StatefulSet", f"-{kind}").inputs["spec"])


def container(declared: offline.Program, kind: str) -> dict[str, Any]:
    (found,) = store(declared, kind)["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stores_pod_may_do_no_more_than_the_services(prod: offline.Program, kind: str) -> None:
    own = prod.one("apps/v1:Deployment").inputs["spec"]["template"]["spec"]
    pod = store(prod, kind)["template"]["spec"]
    assert pod["securityContext"] == own["securityContext"]
    assert pod["containers"][0]["securityContext"] == own["containers"][0]["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert prod.one("ServiceAccount", f"-{kind}").inputs["automountServiceAccountToken"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_its_data_is_on_volumes_of_the_stacks_class(prod: offline.Program, kind: str) -> None:
    (claim,) = store(prod, kind)["volumeClaimTemplates"]
    storage = prod.one("StorageClass").inputs
    assert claim["spec"]["storageClassName"] == storage["metadata"]["name"] == "rag-prod-data"
    assert storage["parameters"] == {"type": "gp3", "encrypted": "true", "kmsKeyId": storage["parameters"]["kmsKeyId"]}
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    assert storage["allowVolumeExpansion"] is True
    mounted = {each["name"] for each in container(prod, kind)["volumeMounts"]}
    assert mounted == {"data", "scratch", "settings"}


def test_volumes_outlive_a_protected_stack_only(prod: offline.Program, dev: offline.Program) -> None:
    assert [each.one("StorageClass").inputs["reclaimPolicy"] for each in (prod, dev)] == ["Retain", "Delete"]
    kept = [store(each, "mongo")["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] for each in (prod, dev)]
    assert kept == ["Retain", "Delete"]
    assert [each.one("core/v1:Namespace").retain for each in (prod, dev)] == [True, False]
    assert all(each.protect for each in prod.of("dynamic:Resource"))


def test_credentials_are_in_files_and_nowhere_else(prod: offline.Program) -> None:
    tokens = {each.name: offline.made_up_token(each.name, each.inputs) for each in prod.of("dynamic:Resource")}
    assert len(tokens) == 3
    for each in prod.resources:
        if each.type != "kubernetes:core/v1:Secret":
            assert not any(token in json.dumps(each.inputs, default=str) for token in tokens.values())
    settings = prod.one("core/v1:Secret", "qdrant-settings").inputs["stringData"]["settings"]
    assert yaml.safe_load(settings) == {"service": {"api_key": tokens["rag-qdrant-token"]}}
    assert prod.outputs["secrets"].keys() == {"qdrantApiKey", "mongoUrl", "redisUrl"}
    assert "@mongo.rag-prod.svc.cluster.local:27017/?authSource=admin" in prod.outputs["secrets"]["mongoUrl"]
    assert prod.outputs["qdrant"] == "http://qdrant.rag-prod.svc.cluster.local:6333"


def test_qdrant_is_a_cluster_that_its_first_pod_founds(prod: offline.Program) -> None:
    spec, made = store(prod, "qdrant"), container(prod, "qdrant")
    told = {each["name"]: each["value"] for each in made["env"]}
    assert spec["replicas"] == 3
    assert spec["serviceName"] == "qdrant-peers"
    assert told["QDRANT__CLUSTER__ENABLED"] == "true"
    assert told["QDRANT__STORAGE__COLLECTION__REPLICATION_FACTOR"] == "2"
    assert told["QDRANT__STORAGE__COLLECTION__SHARD_NUMBER_PER_NODE"] == "2"
    assert "--bootstrap" in made["command"][-1]
    peers = prod.one("core/v1:Service", "-qdrant-peers").inputs["spec"]
    assert peers["clusterIP"] == "None"
    assert peers["publishNotReadyAddresses"] is True  # a pod joins before it is ready


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_pods_of_a_store_are_lost_together(prod: offline.Program, kind: str) -> None:
    pod = store(prod, kind)["template"]["spec"]
    (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert prod.one("PodDisruptionBudget", f"-{kind}").inputs["spec"]["maxUnavailable"] == 1
    assert pod["priorityClassName"] == prod.one("PriorityClass").inputs["metadata"]["name"]


@pytest.mark.parametrize(("kind", "port"), [("qdrant", 6333), ("mongo", 27017), ("redis", 6379)])
def test_only_the_service_its_jobs_and_the_backups_reach_a_store(prod: offline.Program, kind: str, port: int) -> None:
    ways = prod.one("NetworkPolicy", f"-{kind}").inputs["spec"]["ingress"]
    (clients,) = [each for each in ways if each["ports"] == [{"port": port, "protocol": "TCP"}]]
    names = [each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in clients["from"]]
    assert names == ["rag-api", "rag-job", "backup"]
    own = prod.one("NetworkPolicy", "rag-networkpolicy").inputs["spec"]["egress"]
    assert any(each["ports"] == [{"port": port, "protocol": "TCP"}] for each in own)


def test_the_namespace_has_room_for_its_stores(prod: offline.Program) -> None:
    hard = prod.one("ResourceQuota").inputs["spec"]["hard"]
    assert int(hard["pods"]) == 22 + 3 + 1 + 1 + 3


def test_a_stack_with_vendors_stores_has_none_of_it() -> None:
    declared = workload(eks("prod"))
    assert declared.of("StatefulSet") == declared.of("StorageClass") == declared.of("PriorityClass") == []
    assert declared.one("core/v1:Namespace").retain is False


def test_the_clients_service_comes_after_the_pods_that_it_waits_for(prod: offline.Program) -> None:
    pods = prod.one("StatefulSet", "-mongo")
    assert pods.urn in prod.one("core/v1:Service", "service-mongo").depends_on
    assert prod.one("core/v1:Service", "-mongo-peers").urn in pods.depends_on
