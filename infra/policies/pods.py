"""Rules about what runs in a cluster: hardened pods, honest probes, closed namespaces, data that is backed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from infra.policies.rules import Found, Resource, listed, of_type, rule, stack_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STORE = "kubernetes:apps/v1:StatefulSet"
JOB = "kubernetes:batch/v1:CronJob"
WITH_PODS = (DEPLOYMENT, STORE, JOB)
SERVICE = "kubernetes:core/v1:Service"
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
SECRETS = ("API_KEY", "APIKEY", "PASSWORD", "TOKEN", "DATABASE_HOST", "REDIS_URL")
ALB = "alb.ingress.kubernetes.io/"
RESTRICTED = "pod-security.kubernetes.io/enforce"
ENVIRONMENT = "rag-platform/environment"
DEADLINE_S = 25


def pod(owner: Resource) -> Mapping[str, Any]:
    """The pod's spec of a Deployment, a StatefulSet or a CronJob."""
    spec = owner.props.get("spec") or {}
    spec = (spec.get("jobTemplate") or {}).get("spec") or spec
    found: Mapping[str, Any] = (spec.get("template") or {}).get("spec") or {}
    return found


def containers(owner: Resource) -> Iterator[Mapping[str, Any]]:
    """Every container of the pod, the first ones too."""
    spec = pod(owner)
    yield from listed(spec.get("initContainers"))
    yield from listed(spec.get("containers"))


def hardened(owner: Resource) -> Found:
    """A container that is broken into has nothing to work with."""
    for each in containers(owner):
        rights = each.get("securityContext") or {}
        wrong = {
            "runs as root": not rights.get("runAsNonRoot") or rights.get("runAsUser") == 0,
            "may become more than it is": rights.get("allowPrivilegeEscalation", True),
            "is privileged": rights.get("privileged", False),
            "writes to its root": not rights.get("readOnlyRootFilesystem"),
            "keeps capabilities": "ALL" not in listed((rights.get("capabilities") or {}).get("drop")),
        }
        for problem, holds in wrong.items():
            if holds:
                yield f"{each.get('name')} {problem}"


def no_host(owner: Resource) -> Found:
    """A pod shares nothing with its node, and carries no token of the cluster."""
    spec = pod(owner)
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"sets {key}"
    if any("hostPath" in each for each in listed(spec.get("volumes"))):
        yield "mounts a folder of its node"
    if spec.get("automountServiceAccountToken", True):
        yield "mounts a token of the cluster"


def image_by_digest(owner: Resource) -> Found:
    """What runs is what was tried: the service by digest, a vendor's image by its version at least."""
    told = (owner.props.get("metadata") or {}).get("annotations") or {}
    by_digest = owner.type == DEPLOYMENT and told.get(ENVIRONMENT) != "development"
    for each in containers(owner):
        image = str(each.get("image"))
        _, _, tag = image.rpartition("/")[2].partition(":")
        if "@sha256:" not in image and (by_digest or tag in {"", "latest"}):
            yield f"{each.get('name')} runs {image}, which may move"


def bounded(owner: Resource) -> Found:
    """One pod can't take the node from the others."""
    for each in containers(owner):
        sizes = each.get("resources") or {}
        if not {"cpu", "memory"} <= (sizes.get("requests") or {}).keys() or "memory" not in (sizes.get("limits") or {}):
            yield f"{each.get('name')} has no requests or no limit of memory"


def no_plain_secret(owner: Resource) -> Found:
    """A secret is never a value of the environment."""
    for each in containers(owner):
        for variable in listed(each.get("env")):
            name = str(variable.get("name"))
            if name.endswith(SECRETS) and variable.get("value"):
                yield f"{each.get('name')} is given {name} in plain text"


def no_plain_setting(found: Resource) -> Found:
    """Neither is it one of a ConfigMap."""
    for name in found.props.get("data") or {}:
        if str(name).endswith(SECRETS):
            yield f"holds {name}"


def probes_differ(owner: Resource) -> Found:
    """A pod that can't answer is left out; only one that is stuck is ended."""
    for each in listed(pod(owner).get("containers")):
        live, ready = each.get("livenessProbe"), each.get("readinessProbe")
        if not live or not ready:
            yield f"{each.get('name')} has no probe of its life or of its readiness"
        elif _path(live) == _path(ready):
            yield f"{each.get('name')} is ended by the probe that should only leave it out"


def _path(probe: Mapping[str, Any]) -> object:
    return (probe.get("httpGet") or {}).get("path", probe)


def drains(deployment: Resource) -> Found:
    """An update loses no request: old pods stay until new ones serve, and finish what they began."""
    strategy = (deployment.props.get("spec") or {}).get("strategy") or {}
    update = strategy.get("rollingUpdate") or {}
    if strategy.get("type") == "Recreate" or update.get("maxUnavailable") not in {0, "0", "0%"}:
        yield "takes pods away before new ones serve"
    spec = pod(deployment)
    grace = spec.get("terminationGracePeriodSeconds", 30)
    if grace <= DEADLINE_S:
        yield f"gives {grace:g} s to end, which the longest request needs itself"
    if not all((each.get("lifecycle") or {}).get("preStop") for each in listed(spec.get("containers"))):
        yield "stops before the load balancer knows"


def nothing_but_the_ingress_is_open(service: Resource) -> Found:
    """A Service is reached inside the cluster."""
    kind = (service.props.get("spec") or {}).get("type", "ClusterIP")
    if kind != "ClusterIP":
        yield f"is of type {kind}"


def front_speaks_tls(ingress: Resource) -> Found:
    """Plain HTTP redirects; TLS starts at 1.2; who called is on record."""
    told = {
        name.removeprefix(ALB): str(value)
        for name, value in ((ingress.props.get("metadata") or {}).get("annotations") or {}).items()
    }
    attributes = told.get("load-balancer-attributes", "")
    if "access_logs.s3.enabled=true" not in attributes:
        yield "writes no access log"
    if "drop_invalid_header_fields.enabled=true" not in attributes:
        yield "keeps invalid header fields"
    if told.get("target-type") != "ip":
        yield "sends to nodes, past readiness of pods"
    if "environment=development" in told.get("tags", ""):
        return
    if told.get("ssl-redirect") != "443" or not told.get("certificate-arn"):
        yield "answers plain HTTP"
    elif not told.get("ssl-policy", "").startswith("ELBSecurityPolicy-TLS13-1-"):
        yield "allows old versions of TLS"


def namespace_is_restricted(namespace: Resource) -> Found:
    """Pods that could harm the node are refused by the API server."""
    labels = (namespace.props.get("metadata") or {}).get("labels") or {}
    if labels.get(RESTRICTED) != "restricted":
        yield f"enforces {labels.get(RESTRICTED) or 'nothing'}"


def namespaces_are_closed(resources: Sequence[Resource]) -> Found:
    """Nobody talks to a pod, and no pod to anybody, unless a policy says so."""
    closed = {
        (each.props.get("metadata") or {}).get("namespace")
        for each in of_type(resources, POLICY)
        if _denies(each.props.get("spec") or {})
    }
    for namespace in of_type(resources, NAMESPACE):
        name = (namespace.props.get("metadata") or {}).get("name")
        if name not in closed:
            yield f"{namespace.name} has no policy that denies by default"


def _denies(spec: Mapping[str, Any]) -> bool:
    everything = not (spec.get("podSelector") or {})
    return everything and {"Ingress", "Egress"} <= set(listed(spec.get("policyTypes"))) and not spec.get("egress")


def scaler_owns_replicas(resources: Sequence[Resource]) -> Found:
    """An update doesn't take back what the autoscaler added."""
    scaled = {
        ((each.props.get("spec") or {}).get("scaleTargetRef") or {}).get("name") for each in of_type(resources, SCALER)
    }
    for each in of_type(resources, DEPLOYMENT):
        name = (each.props.get("metadata") or {}).get("name")
        if name in scaled and "replicas" in (each.props.get("spec") or {}):
            yield f"{each.name} sets replicas, which its autoscaler owns"


RULES = (
    rule("kube-hardened", hardened, "set securityContext as `restricted` wants it, and a read-only root", *WITH_PODS),
    rule("kube-no-host", no_host, "leave the node out, automountServiceAccountToken false", *WITH_PODS),
    rule("kube-image-by-digest", image_by_digest, "`opsctl image push` writes the digest", *WITH_PODS),
    rule("kube-bounded", bounded, "set resources.requests and limits", *WITH_PODS),
    rule("kube-no-plain-secret", no_plain_secret, "name it in RAG_SECRETS_FROM, or mount it", *WITH_PODS),
    rule("kube-no-plain-setting", no_plain_setting, "name it in RAG_SECRETS_FROM", "kubernetes:core/v1:ConfigMap"),
    rule("kube-probes-differ", probes_differ, "/livez for life, /readyz for readiness", DEPLOYMENT, STORE),
    rule("kube-drains", drains, "maxUnavailable 0, preStop, 45 s of grace", DEPLOYMENT),
    rule("kube-service-inside", nothing_but_the_ingress_is_open, "use the Ingress", SERVICE),
    rule("kube-front-tls", front_speaks_tls, "set the annotations of the load balancer", INGRESS),
    rule("kube-restricted", namespace_is_restricted, f"set the label {RESTRICTED}", NAMESPACE),
)
STACK_RULES = (
    stack_rule("kube-closed", namespaces_are_closed, "add a policy without rules for every pod"),
    stack_rule("kube-scaler-owns-replicas", scaler_owns_replicas, "leave replicas out"),
)
