"""The service on Kubernetes: what its pods may do, when they are replaced, and who reaches them."""

import json
from typing import Any

import pytest

from infra import offline
from tests.infra.kube_cases import CERTIFICATE, FIREWALL, SIDECAR, eks, workload

ALB = "alb.ingress.kubernetes.io/"


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return workload(eks("prod"))


@pytest.fixture(scope="module")
def dev() -> offline.Program:
    return workload(eks("dev"))


def deployment(declared: offline.Program) -> dict[str, Any]:
    return dict(declared.one("apps/v1:Deployment").inputs["spec"])


def pod(declared: offline.Program) -> dict[str, Any]:
    return dict(deployment(declared)["template"]["spec"])


def service(declared: offline.Program) -> dict[str, Any]:
    (found,) = pod(declared)["containers"]
    return dict(found)


def policy(declared: offline.Program, name: str) -> dict[str, Any]:
    return dict(declared.one("NetworkPolicy", name).inputs["spec"])


def test_a_pod_that_runs_a_job_reaches_what_the_service_does_and_nobody_reaches_it(prod: offline.Program) -> None:
    job, service = policy(prod, "-jobs"), policy(prod, "rag-networkpolicy")
    assert job["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "rag-job"}}
    assert job["egress"] == service["egress"]
    assert "ingress" not in job
    assert "Ingress" in job["policyTypes"]
    selected = prod.one("core/v1:Service").inputs["spec"]["selector"]
    assert selected != job["podSelector"]["matchLabels"], "no request is sent to it"
    template = prod.one("Deployment", "rag-deployment").inputs["spec"]["template"]
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] != "rag-job"


def test_the_namespace_refuses_what_is_not_restricted(prod: offline.Program) -> None:
    made = prod.one("core/v1:Namespace").inputs["metadata"]
    assert made["name"] == "rag-prod"
    assert made["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert made["labels"]["pod-security.kubernetes.io/enforce-version"] == "v1.35"
    assert made["labels"]["elbv2.k8s.aws/pod-readiness-gate-inject"] == "enabled"


def test_a_pod_has_the_guides_size_and_no_way_to_escalate(prod: offline.Program) -> None:
    spec, container = pod(prod), service(prod)
    assert container["resources"]["requests"] == {"cpu": "1000m", "memory": "2Gi", "ephemeral-storage": "256Mi"}
    assert container["resources"]["limits"] == {"cpu": "2000m", "memory": "4Gi", "ephemeral-storage": "1024Mi"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["runAsNonRoot"] is True
    assert rights["runAsUser"] == 10001
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp"]  # noqa: S108 - in the container
    assert spec["volumes"] == [{"name": "scratch", "emptyDir": {"sizeLimit": "512Mi"}}]


def test_probes_differ_and_a_slow_start_is_no_crash(prod: offline.Program) -> None:
    container = service(prod)
    start, live, ready = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    assert (live["httpGet"]["path"], live["periodSeconds"]) == ("/livez", 10)
    assert (ready["httpGet"]["path"], ready["periodSeconds"]) == ("/readyz", 5)
    assert start["periodSeconds"] * start["failureThreshold"] == 180


def test_drain_budgets_fit_into_each_other(prod: offline.Program) -> None:
    stop = service(prod)["lifecycle"]["preStop"]
    assert stop == {"sleep": {"seconds": 10}}  # no shell in the image
    assert 10 + 30 < pod(prod)["terminationGracePeriodSeconds"] == 45


def test_an_update_never_goes_below_what_was_there_and_the_autoscaler_owns_the_number(prod: offline.Program) -> None:
    spec = deployment(prod)
    assert "replicas" not in spec
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    scaler = prod.one("HorizontalPodAutoscaler").inputs["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    targets = {each["resource"]["name"]: each["resource"]["target"]["averageUtilization"] for each in scaler["metrics"]}
    assert targets == {"cpu": 70, "memory": 80}
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert scaler["scaleTargetRef"]["name"] == prod.outputs["deployment"]


def test_a_node_can_be_drained_and_a_sick_pod_does_not_stop_it(dev: offline.Program) -> None:
    spec = dev.one("PodDisruptionBudget").inputs["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_pods_are_spread_over_zones_and_hosts_where_there_is_room(prod: offline.Program) -> None:
    keys = [(each["topologyKey"], each["whenUnsatisfiable"]) for each in pod(prod)["topologySpreadConstraints"]]
    assert keys == [
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
        ("kubernetes.io/hostname", "ScheduleAnyway"),
    ]


def test_other_settings_are_another_map_and_another_revision() -> None:
    first, second = (workload(eks("dev"), {"RAG_TOP_K": value}) for value in ("3", "4"))
    maps = [each.one("ConfigMap").inputs for each in (first, second)]
    assert maps[0]["immutable"] is True
    assert maps[0]["metadata"]["name"] != maps[1]["metadata"]["name"]
    named = [service(each)["envFrom"][0]["configMapRef"]["name"] for each in (first, second)]
    assert named == [each["metadata"]["name"] for each in maps]
    assert first.outputs["revision"] != second.outputs["revision"]


def test_every_pod_carries_the_revision_that_the_stack_reports(prod: offline.Program) -> None:
    carried = deployment(prod)["template"]["metadata"]["annotations"]
    assert carried == {"rag-platform/revision": prod.outputs["revision"]}
    assert prod.outputs["revision"] == workload(eks("prod")).outputs["revision"]


def test_no_value_of_a_secret_is_in_an_object(prod: offline.Program) -> None:
    assert prod.of("core/v1:Secret") == []
    assert "planted" not in json.dumps([each.inputs for each in prod.resources], default=str)


def test_nothing_is_open_but_what_a_policy_names(prod: offline.Program) -> None:
    assert policy(prod, "default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    own = policy(prod, "rag-networkpolicy")
    (way_in,) = own["ingress"]
    assert way_in["ports"] == [{"port": 8000, "protocol": "TCP"}]
    assert [each["ipBlock"]["cidr"] for each in way_in["from"]] == ["10.20.128.0/21", "10.20.136.0/21"]
    ways = {
        (port["port"], each["ipBlock"]["cidr"]) for out in own["egress"] for each in out["to"] for port in out["ports"]
    }
    assert ways == {
        (6379, "10.20.0.0/19"),
        (443, "0.0.0.0/0"),
        (27017, "0.0.0.0/0"),
        (80, "169.254.170.23/32"),
    }
    outward = [each for out in own["egress"] for each in out["to"] if each["ipBlock"]["cidr"] == "0.0.0.0/0"]
    assert all(each["ipBlock"]["except"] == ["169.254.0.0/16"] for each in outward)


def test_names_are_asked_of_pods_and_of_nodes_that_answer_themselves(prod: offline.Program) -> None:
    (way,) = policy(prod, "allow-dns")["egress"]
    assert [each["ipBlock"]["cidr"] for each in way["to"] if "ipBlock" in each] == [
        "172.20.0.10/32",
        "169.254.20.10/32",
    ]
    assert [each["podSelector"]["matchLabels"] for each in way["to"] if "podSelector" in each] == [
        {"k8s-app": "kube-dns"}
    ]
    assert {(port["port"], port["protocol"]) for port in way["ports"]} == {(53, "UDP"), (53, "TCP")}


def test_the_front_door_speaks_tls_behind_a_firewall(prod: offline.Program) -> None:
    said = prod.one("Ingress").inputs["metadata"]["annotations"]
    assert said[ALB + "certificate-arn"] == CERTIFICATE
    assert said[ALB + "wafv2-acl-arn"] == FIREWALL
    assert said[ALB + "ssl-redirect"] == "443"
    assert json.loads(said[ALB + "listen-ports"]) == [{"HTTP": 80}, {"HTTPS": 443}]
    assert said[ALB + "target-type"] == "ip"
    assert "idle_timeout.timeout_seconds=60" in said[ALB + "load-balancer-attributes"]
    assert "deletion_protection.enabled=true" in said[ALB + "load-balancer-attributes"]
    assert "deregistration_delay.timeout_seconds=30" in said[ALB + "target-group-attributes"]
    assert said[ALB + "healthcheck-path"] == "/health"


def test_the_front_door_of_dev_lets_in_its_own_networks_only(dev: offline.Program) -> None:
    said = dev.one("Ingress").inputs["metadata"]["annotations"]
    assert said[ALB + "inbound-cidrs"] == "192.0.2.0/24"
    assert ALB + "certificate-arn" not in said
    assert "deletion_protection.enabled=false" in said[ALB + "load-balancer-attributes"]


@pytest.mark.parametrize(("stack", "docs"), [("prod", False), ("dev", True)])
def test_only_the_api_is_routed(stack: str, *, docs: bool) -> None:
    (rule,) = workload(eks(stack)).one("Ingress").inputs["spec"]["rules"]
    paths = {each["path"] for each in rule["http"]["paths"]}
    assert {"/rag", "/search", "/v1", "/health"} <= paths
    assert ("/docs" in paths) is docs
    assert not any(path.startswith(("/metrics", "/readyz")) or path == "/" for path in paths)
    assert rule.get("host") == ("api.example.com" if stack == "prod" else None)


def test_the_front_door_goes_first_when_the_stack_is_destroyed(prod: offline.Program) -> None:
    door = prod.one("Ingress")
    assert prod.one("core/v1:Service").urn in door.depends_on
    assert prod.one("apps/v1:Deployment").urn in prod.one("core/v1:Service").depends_on
    assert prod.outputs["hostname"].endswith(".amazonaws.com")


def test_the_namespace_has_room_for_an_update_and_no_more(prod: offline.Program) -> None:
    hard = prod.one("ResourceQuota").inputs["spec"]["hard"]
    assert hard["pods"] == "22"
    assert hard["requests.cpu"] == "22000m"
    assert hard["services.loadbalancers"] == "0"
    (limits,) = prod.one("LimitRange").inputs["spec"]["limits"]
    assert limits["max"] == {"cpu": "2000m", "memory": "4Gi"}


def test_llama_cpp_is_ready_before_the_service_starts_and_ends_after_it() -> None:
    declared = workload(eks("prod", **SIDECAR))
    (beside,) = pod(declared)["initContainers"]
    own = service(declared)
    assert beside["restartPolicy"] == "Always"  # a sidecar: it stays, and the next container waits for its start-up
    assert beside["startupProbe"]["exec"]["command"][-1] == "http://127.0.0.1:8081/health"
    assert "ports" not in beside
    assert beside["securityContext"] == own["securityContext"]
    assert dict(zip(beside["args"][::2], beside["args"][1::2], strict=True))["--model"] == "/models/small.gguf"
    assert {each["name"] for each in pod(declared)["volumes"]} == {"scratch", "llama-scratch"}
    hard = declared.one("ResourceQuota").inputs["spec"]["hard"]
    assert hard["requests.memory"] == "88Gi"  # 22 pods of 2 and 2
