"""The pod of the service. Pure: the stack config and an image in, the template of a Deployment out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from infra.components import container
from infra.components.kube.objects import labels, selector
from infra.components.kube.pod import CONTAINER_SECURITY, hardened, scratch, sized, spread
from infra.config.platforms import Resources

if TYPE_CHECKING:
    import pulumi

    from infra.config import StackConfig

NAME = "rag-api"  # the guide's name of Deployment, service account, Service and autoscaler
JOB = "rag-job"  # a pod of the same kind that runs once and serves nobody, whose labels no Service selects
GRACE_S = 45  # budgets: preStop 10 s + graceful 30 s < 45 s
PRE_STOP_S = 10  # endpoints are removed while the pod already stops: it still answers so long
START_PERIOD_S, START_TRIES = 5, container.GRACE_S // 5
REVISION = "rag-platform/revision"


def template(cfg: StackConfig, settings: pulumi.Input[str], revision: pulumi.Input[str]) -> dict[str, Any]:
    """The pods; `settings` is the ConfigMap with their environment, `revision` says which pods these are."""
    beside = [_llama(cfg)] if cfg.generation.provider == "llamacpp" else []
    spec = {
        **hardened(NAME),
        **spread(selector(NAME), by_revision=True),
        "terminationGracePeriodSeconds": GRACE_S,
        "initContainers": beside,
        "containers": [_service(cfg, settings)],
        "volumes": [scratch("scratch"), *(scratch(f"{each['name']}-scratch") for each in beside)],
    }
    if not beside:
        del spec["initContainers"]
    return {"metadata": {"labels": labels(NAME), "annotations": {REVISION: revision}}, "spec": spec}


def _service(cfg: StackConfig, settings: pulumi.Input[str]) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": str(cfg.service.image),
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            {"name": "http", "containerPort": container.PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": container.METRICS_PORT, "protocol": "TCP"},
        ],
        "envFrom": [{"configMapRef": {"name": settings}}],
        "resources": sized(cfg.eks.requests, cfg.eks.limits),
        # neither asks anything outside the pod: a database that is down must not take every replica with it
        "startupProbe": _probe("/readyz", period=START_PERIOD_S, timeout=3, failures=START_TRIES),
        "livenessProbe": _probe("/livez", period=10, timeout=5, failures=3),
        "readinessProbe": _probe("/readyz", period=5, timeout=3, failures=2),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - in the container
    }


def _llama(cfg: StackConfig) -> dict[str, Any]:
    """llama.cpp's server: an init container that stays is ready before the service starts and stops after it."""
    beside, gen = cfg.generation.llamacpp, cfg.generation
    model = container.ModelArgs(str(gen.model), gen.context_tokens, max(1, math.floor(beside.cpu)))
    size = Resources(cpu=beside.cpu, memoryGiB=beside.memory_gib)
    curl = ["curl", "-fsS", f"http://127.0.0.1:{container.LLAMA_PORT}/health"]
    asked = {"exec": {"command": curl}, "periodSeconds": 10, "timeoutSeconds": 5}
    return {
        "name": container.LLAMA,
        "image": str(beside.image),
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "args": container.llama_command(model),
        "resources": sized(size, size),
        "startupProbe": {**asked, "failureThreshold": container.GRACE_S // 10},
        "livenessProbe": {**asked, "failureThreshold": 6},  # a long answer keeps it busy
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": f"{container.LLAMA}-scratch", "mountPath": "/tmp"}],  # noqa: S108 - as above
    }


def _probe(path: str, *, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
