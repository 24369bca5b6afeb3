"""The only package that imports the Kubernetes client: asks the API server, answers with values. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsctl.kube.session import api, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REVISION = "rag-platform/revision"  # the annotation of each pod that says what was asked for
LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of one revision that are ready."""

    revision: str | None
    images: tuple[str, ...]
    ready: int


@dataclass(frozen=True, slots=True)
class KubeDeployment:
    """A Deployment as it is now.

    Attributes:
        wanted: the revision and images that its template asks for.
        ready: what serves, by revision, the most pods first.
        replicas: how many pods there should be.
        settled: every pod is of the template and available, and no other is left.
        given_up: why the newest rollout was given up; None where it was not.
        waits: why pods of the template are not ready or not even made, where something says so.
    """

    wanted: Pods
    ready: tuple[Pods, ...]
    replicas: int
    settled: bool
    given_up: str | None
    waits: str | None


def deployment(region: str | None, cluster: str, namespace: str, name: str) -> KubeDeployment:
    """Describe a Deployment and the pods that it selects.

    Raises:
        CloudRefused, TimedOut
    """
    with translated(f"Deployment '{namespace}/{name}'"), api(region, cluster) as apis:
        found = apis.apps.read_namespaced_deployment(name, namespace, _request_timeout=LIMIT_S)
        labels = ",".join(f"{key}={value}" for key, value in (found.spec.selector.match_labels or {}).items())
        pods = apis.core.list_namespaced_pod(namespace, label_selector=labels, _request_timeout=LIMIT_S).items
    template, status, replicas = found.spec.template, found.status, found.spec.replicas or 0
    conditions = {each.type: each for each in status.conditions or ()}
    return KubeDeployment(
        wanted=Pods(_revision(template), _images(template), 0),
        ready=_ready(pods),
        replicas=replicas,
        settled=(status.observed_generation or 0) >= found.metadata.generation
        and (status.updated_replicas or 0) == (status.available_replicas or 0) == (status.replicas or 0) == replicas,
        given_up=_given_up(conditions.get("Progressing")),
        waits=_refused(conditions.get("ReplicaFailure")) or next(_waiting(pods, _revision(template)), None),
    )


def _revision(pod: Any) -> str | None:  # noqa: ANN401 - the client's models carry no types
    found = (pod.metadata.annotations or {}).get(REVISION)
    return None if found is None else str(found)


def _images(pod: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    return tuple(str(container.image) for container in pod.spec.containers)


def _ready(pods: Iterable[Any]) -> tuple[Pods, ...]:
    counted: dict[tuple[str | None, tuple[str, ...]], int] = {}
    for pod in pods:
        serves = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())
        if serves and pod.metadata.deletion_timestamp is None:
            key = (_revision(pod), _images(pod))
            counted[key] = counted.get(key, 0) + 1
    found = (Pods(revision, images, ready) for (revision, images), ready in counted.items())
    return tuple(sorted(found, key=lambda each: each.ready, reverse=True))


def _given_up(progressing: Any) -> str | None:  # noqa: ANN401 - as above
    """Kubernetes never goes back by itself: it says that nothing moved for too long, and leaves the old pods."""
    if progressing is None or progressing.status != "False":
        return None
    return f"{progressing.reason}: {progressing.message}"


def _refused(failure: Any) -> str | None:  # noqa: ANN401 - as above
    """The API server let no pod be made: admission, quota."""
    return str(failure.message) if failure is not None and failure.status == "True" else None


def _waiting(pods: Iterable[Any], revision: str | None) -> Iterator[str]:
    for pod in pods:
        if _revision(pod) != revision:
            continue
        for container in pod.status.container_statuses or ():
            waiting = container.state.waiting if container.state else None
            if waiting is not None and waiting.reason not in {None, "ContainerCreating", "PodInitializing"}:
                yield f"pod {pod.metadata.name}: {waiting.reason}" + (f": {waiting.message}" if waiting.message else "")
        for each in pod.status.conditions or ():
            if each.type == "PodScheduled" and each.status == "False":
                yield f"pod {pod.metadata.name}: {each.reason}: {each.message}"
