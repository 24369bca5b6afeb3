"""Rules about ECS: deployments that take themselves back, containers that can't escalate, images that can't move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.policies.rules import Found, Resource, ResourceRule, parsed

SERVICE = "aws:ecs/service:Service"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
CLUSTER = "aws:ecs/cluster:Cluster"
GRACEFUL_S = 30  # the service drains that long after SIGTERM
STOP_DEFAULT_S = 30  # ECS sends SIGKILL after stopTimeout
SECRET_NAMES = ("KEY", "TOKEN", "PASSWORD", "SECRET", "APIKEY", "REDIS_URL", "DATABASE_HOST")
NOT_SECRETS = ("RAG_CONTEXT_TOKENS", "RAG_MAX_OUTPUT_TOKENS")


def containers(task: Resource) -> Iterator[Mapping[str, Any]]:
    """The container definitions of a task definition."""
    yield from parsed(task.props.get("containerDefinitions") or "[]")


def breaker_on_with_rollback(service: Resource) -> Found:
    """A deployment that fails goes back by itself."""
    breaker = service.props.get("deploymentCircuitBreaker") or {}
    if not (breaker.get("enable") and breaker.get("rollback")):
        yield "the deployment circuit breaker isn't on with rollback"


def alarms_roll_back(service: Resource) -> Found:
    """A deployment that answers errors goes back by itself."""
    alarms = service.props.get("alarms") or {}
    if not (alarms.get("enable") and alarms.get("rollback") and alarms.get("alarmNames")):
        yield "no alarms roll a deployment back"


def tasks_have_no_public_address(service: Resource) -> Found:
    """Tasks are reached through the load balancer."""
    if (service.props.get("networkConfiguration") or {}).get("assignPublicIp"):
        yield "its tasks get public addresses"


def old_tasks_stay_until_new_ones_serve(service: Resource) -> Found:
    """No deployment below the wanted number of tasks."""
    healthy = service.props.get("deploymentMinimumHealthyPercent", 100)
    if healthy < 100:  # noqa: PLR2004 - all of them
        yield f"deploymentMinimumHealthyPercent is {healthy:g}, requests fail during a deployment"


def stop_timeout_covers_deadline(task: Resource) -> Found:
    """SIGKILL comes after the last request has been answered."""
    for container in containers(task):
        environment = {each["name"]: each.get("value") for each in container.get("environment") or []}
        deadline = float(environment.get("RAG_DEADLINE_S") or 0)
        stop = container.get("stopTimeout", STOP_DEFAULT_S)
        if deadline and stop <= max(deadline, GRACEFUL_S):
            cut = f"requests of {deadline:g} s (drain {GRACEFUL_S} s)"
            yield f"{container['name']}: stopTimeout {stop} s cuts {cut}"


def image_by_digest(task: Resource) -> Found:
    """A tag can move under a running service."""
    if task.tags.get("environment") == "development":
        return
    for container in containers(task):
        if "@sha256:" not in container["image"]:
            yield f"{container['name']}: image {container['image']} is named by a tag"


def no_plain_secret(task: Resource) -> Found:
    """Credentials reach the container by reference."""
    for container in containers(task):
        for each in container.get("environment") or []:
            name = each["name"].upper()
            if name.endswith(SECRET_NAMES) and name not in NOT_SECRETS:
                yield f"{container['name']}: {each['name']} is a plain value"


def root_is_read_only(task: Resource) -> Found:
    """Nothing is written into the image."""
    for container in containers(task):
        if not container.get("readonlyRootFilesystem"):
            yield f"{container['name']}: the root file system is writable"


def not_root(task: Resource) -> Found:
    """No container runs as root or privileged."""
    for container in containers(task):
        if str(container.get("user") or "0").split(":")[0] in {"0", "root"}:
            yield f"{container['name']}: runs as root"
        if container.get("privileged"):
            yield f"{container['name']}: is privileged"


def logs_somewhere(task: Resource) -> Found:
    """A container without logs can't be operated."""
    for container in containers(task):
        if not container.get("logConfiguration"):
            yield f"{container['name']}: has no log configuration"


def insights_on(cluster: Resource) -> Found:
    """CPU and memory by task are known."""
    settings = {each.get("name"): each.get("value") for each in cluster.props.get("settings") or []}
    if settings.get("containerInsights") not in {"enabled", "enhanced"}:
        yield "Container Insights is off"


def _rule(name: str, kind: str, check: Any, fix: str) -> ResourceRule:  # noqa: ANN401 - one of the functions above
    return ResourceRule(name, (check.__doc__ or "").strip(), (kind,), check, fix)


RULES = (
    _rule("ecs-breaker-on-with-rollback", SERVICE, breaker_on_with_rollback, "set deploymentCircuitBreaker"),
    _rule("ecs-alarms-roll-back", SERVICE, alarms_roll_back, "set alarms {enable, rollback, alarmNames}"),
    _rule("ecs-no-public-address", SERVICE, tasks_have_no_public_address, "put the tasks into private subnets"),
    _rule("ecs-no-capacity-drop", SERVICE, old_tasks_stay_until_new_ones_serve, "set it to 100"),
    _rule("ecs-stop-timeout-covers-deadline", TASK, stop_timeout_covers_deadline, "raise stopTimeout (most: 120)"),
    _rule("image-by-digest", TASK, image_by_digest, "`opsctl image push` writes the digest"),
    _rule("no-plain-secret", TASK, no_plain_secret, "hand it on under `secrets`, by ARN"),
    _rule("ecs-read-only-root", TASK, root_is_read_only, "set readonlyRootFilesystem"),
    _rule("ecs-not-root", TASK, not_root, "set user to a number above 0"),
    _rule("ecs-logs", TASK, logs_somewhere, "set logConfiguration"),
    _rule("ecs-insights", CLUSTER, insights_on, "set containerInsights"),
)
