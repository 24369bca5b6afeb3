"""A Job made from what the cluster has: the pod of a Deployment that runs something else once, or a CronJob's now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubernetes.client.exceptions import ApiException

from opsctl.follow import Line
from opsctl.jobs.job import Ended
from opsctl.kube.session import MISSING, api, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opsctl.follow import Source

LIMIT_S = 20
KEPT_S = 24 * 3600  # a Job and its lines, after it ended
NAME_LABEL = "app.kubernetes.io/name"
SERVES = ("ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle")
NEVER_STARTED = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"}


@dataclass(frozen=True, slots=True)
class PodJob:
    """Port `opsctl.jobs.job.Job` over one Kubernetes Job."""

    region: str | None
    cluster: str
    namespace: str
    job: str

    @property
    def name(self) -> str:
        """As kubectl calls it."""
        return f"job/{self.job}"

    @property
    def again(self) -> str:
        """Shows its lines again."""
        return f"`kubectl -n {self.namespace} logs -f {self.name}` shows its lines, `delete` ends it"

    @property
    def lines(self) -> Source:
        """Those of its newest pod."""
        return PodLines(self)

    def ended(self) -> Ended | None:
        """How it ended; None while it runs or is tried again.

        Raises:
            CloudRefused, TimedOut
        """
        with translated(self.name), api(self.region, self.cluster) as apis:
            status = apis.batch.read_namespaced_job(self.job, self.namespace, _request_timeout=LIMIT_S).status
            pods = _pods(apis, self)
        done = {each.type: each for each in status.conditions or () if each.status == "True"}
        if "Complete" in done:
            return Ended(0)
        if "Failed" in done:
            code, why = _exit(pods)
            return Ended(code, why or done["Failed"].message)
        waits = next(iter(_never_started(pods)), None)
        return Ended(None, waits) if waits else None


@dataclass(frozen=True, slots=True)
class PodLines:
    """Port `opsctl.follow.Source`: the lines of a Job's pods."""

    of: PodJob

    def since(self, start_ms: int) -> list[Line]:
        """Lines since a time, oldest first; none where no container has started yet."""
        ago = max(1, int(time.time() - start_ms / 1000) + 1)
        with translated(self.of.name), api(self.of.region, self.of.cluster) as apis:
            texts = [(pod.metadata.name, _text(apis, self.of.namespace, pod, ago)) for pod in _pods(apis, self.of)]
        return sorted((line for pod, text in texts for line in _lines(pod, text)), key=lambda line: line.at_ms)


def job_from_deployment(
    region: str | None,
    cluster: str,
    namespace: str,
    deployment: str,
    container: str,
    label: str,
    command: Sequence[str],
) -> PodJob:
    """Run `command` once in the pod of a Deployment, which serves nobody meanwhile.

    Args:
        region: of the cluster.
        cluster: its name.
        namespace: of the Deployment.
        deployment: whose image, environment, identity and size the pod has.
        container: of the pod that runs the command; what stands beside it is left out.
        label: name of the pod, by which network policies know it; another one than the Deployment's own.
        command: with its arguments.

    Raises:
        CloudRefused, TimedOut
    """

    def made(apis: Any) -> dict[str, Any]:  # noqa: ANN401 - the client's models carry no types
        found = apis.apps.read_namespaced_deployment(deployment, namespace, _request_timeout=LIMIT_S)
        template = apis.plain(found.spec.template)
        return {"template": once(template, container, label, command), "backoffLimit": 2}

    return _create(region, cluster, namespace, label, made)


def job_from_cronjob(
    region: str | None, cluster: str, namespace: str, cronjob: str, args: Callable[[list[str]], list[str]]
) -> PodJob:
    """What a CronJob does, now; `args` gives other arguments for those of its container.

    Raises:
        CloudRefused, TimedOut
    """

    def made(apis: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        found = apis.batch.read_namespaced_cron_job(cronjob, namespace, _request_timeout=LIMIT_S)
        spec: dict[str, Any] = apis.plain(found.spec.job_template)["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        container["args"] = args(list(container["args"]))
        return spec

    return _create(region, cluster, namespace, cronjob, made)


def once(template: dict[str, Any], container: str, label: str, command: Sequence[str]) -> dict[str, Any]:
    """The pod template of something that serves, as that of something that ends. Pure."""
    spec = dict(template["spec"])
    chosen = next(each for each in spec["containers"] if each["name"] == container)
    bare = {key: value for key, value in chosen.items() if key not in SERVES}
    for left in ("initContainers", "topologySpreadConstraints"):
        spec.pop(left, None)
    spec |= {"restartPolicy": "Never", "containers": [{**bare, "command": list(command), "args": []}]}
    labels = {**(template["metadata"].get("labels") or {}), NAME_LABEL: label}
    return {"metadata": {"labels": labels}, "spec": spec}


def _create(
    region: str | None, cluster: str, namespace: str, name: str, made: Callable[[Any], dict[str, Any]]
) -> PodJob:
    called = f"{name}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    with translated(f"job/{called}"), api(region, cluster) as apis:
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": called, "labels": {NAME_LABEL: name, "app.kubernetes.io/managed-by": "opsctl"}},
            "spec": {**made(apis), "ttlSecondsAfterFinished": KEPT_S},
        }
        apis.batch.create_namespaced_job(namespace, body, _request_timeout=LIMIT_S)
    return PodJob(region, cluster, namespace, called)


def _pods(apis: Any, job: PodJob) -> list[Any]:  # noqa: ANN401 - as above
    """Oldest first: a Job makes another one where a pod failed."""
    found = apis.core.list_namespaced_pod(
        job.namespace, label_selector=f"batch.kubernetes.io/job-name={job.job}", _request_timeout=LIMIT_S
    ).items
    return sorted(found, key=lambda pod: str(pod.metadata.creation_timestamp))


def _text(apis: Any, namespace: str, pod: Any, ago_s: int) -> str:  # noqa: ANN401 - as above
    try:
        return str(
            apis.core.read_namespaced_pod_log(
                pod.metadata.name, namespace, since_seconds=ago_s, timestamps=True, _request_timeout=LIMIT_S
            )
            or ""
        )
    except ApiException as exc:
        if exc.status in {400, MISSING}:  # its container has not started yet, or it is gone
            return ""
        raise


def _lines(pod: str, text: str) -> Iterator[Line]:
    for line in text.splitlines():
        stamp, _, said = line.partition(" ")
        try:
            at = datetime.fromisoformat(f"{stamp[:26].rstrip('Z')}+00:00")
        except ValueError:
            continue
        yield Line(f"{pod}:{line}", int(at.timestamp() * 1000), pod, said)


def _exit(pods: Sequence[Any]) -> tuple[int | None, str | None]:
    for pod in reversed(pods):
        for container in pod.status.container_statuses or ():
            over = container.state.terminated if container.state else None
            if over is not None:
                return int(over.exit_code), over.message or over.reason
    return None, None


def _never_started(pods: Sequence[Any]) -> Iterator[str]:
    for pod in pods:
        for container in pod.status.container_statuses or ():
            waiting = container.state.waiting if container.state else None
            if waiting is not None and waiting.reason in NEVER_STARTED:
                yield f"{waiting.reason}: {waiting.message}" if waiting.message else str(waiting.reason)
