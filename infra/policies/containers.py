"""Rules about ECS: deployments that take themselves back, containers that can't escalate, images that can't move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.policies.rules import Found, Resource, parsed, rule

SERVICE = "aws:ecs/service:Service"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
CLUSTER = "aws:ecs/cluster:Cluster"
GRACEFUL_S = 30  # the service drains that long after SIGTERM
START_S = 60  # models are loaded by then
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
    """A container has logs, and a slow log never holds up an answer."""
    for container in containers(task):
        log = container.get("logConfiguration")
        if not log:
            yield f"{container['name']}: has no log configuration"
        elif (log.get("options") or {}).get("mode") != "non-blocking":
            yield f"{container['name']}: waits for its log"


def insights_on(cluster: Resource) -> Found:
    """CPU and memory by task are known."""
    settings = {each.get("name"): each.get("value") for each in cluster.props.get("settings") or []}
    if settings.get("containerInsights") not in {"enabled", "enhanced"}:
        yield "Container Insights is off"


def zones_rebalanced(service: Resource) -> Found:
    """Tasks come back to a zone that was lost."""
    if service.props.get("availabilityZoneRebalancing") != "ENABLED":
        yield "tasks stay where a lost zone left them"


def grace_covers_start(service: Resource) -> Found:
    """A task that still loads its models isn't killed for it."""
    grace = service.props.get("healthCheckGracePeriodSeconds") or 0
    if service.props.get("loadBalancers") and grace < START_S:
        yield f"healthCheckGracePeriodSeconds {grace:g} kills tasks that load their models"


def waits_for_no_steady_state(service: Resource) -> Found:
    """A deployment that was taken back isn't reported as a success."""
    if service.props.get("waitForSteadyState"):
        yield "waits for a steady state, which a rollback reaches too"


def no_capabilities(task: Resource) -> Found:
    """No container has a Linux capability, and its orphans are reaped."""
    for container in containers(task):
        linux = container.get("linuxParameters") or {}
        if "ALL" not in ((linux.get("capabilities") or {}).get("drop") or []):
            yield f"{container['name']}: keeps capabilities"
        if not linux.get("initProcessEnabled"):
            yield f"{container['name']}: has no init process"


def two_roles(task: Resource) -> Found:
    """What starts a task and what the service may do are apart."""
    roles = task.props.get("executionRoleArn"), task.props.get("taskRoleArn")
    if not all(roles) or roles[0] == roles[1]:
        yield "has no execution role and task role of its own each"


def own_address(task: Resource) -> Found:
    """Security groups reach single tasks."""
    if task.props.get("networkMode") != "awsvpc":
        yield "shares its host's address"


def sessions_on_record(cluster: Resource) -> Found:
    """What somebody types into a container is logged and encrypted."""
    session = (cluster.props.get("configuration") or {}).get("executeCommandConfiguration") or {}
    log = session.get("logConfiguration") or {}
    if session.get("logging") != "OVERRIDE" or not log.get("cloudWatchLogGroupName"):
        yield "sessions aren't logged"
    if not (session.get("kmsKeyId") and log.get("cloudWatchEncryptionEnabled")):
        yield "sessions aren't encrypted with the stack's key"


RULES = (
    rule("ecs-breaker-on-with-rollback", breaker_on_with_rollback, "set deploymentCircuitBreaker", SERVICE),
    rule("ecs-alarms-roll-back", alarms_roll_back, "set alarms {enable, rollback, alarmNames}", SERVICE),
    rule("ecs-no-public-address", tasks_have_no_public_address, "put the tasks into private subnets", SERVICE),
    rule("ecs-no-capacity-drop", old_tasks_stay_until_new_ones_serve, "set it to 100", SERVICE),
    rule("ecs-zones-rebalanced", zones_rebalanced, "set availabilityZoneRebalancing to ENABLED", SERVICE),
    rule("ecs-grace-covers-start", grace_covers_start, "set healthCheckGracePeriodSeconds to 180", SERVICE),
    rule("ecs-honest-deployment", waits_for_no_steady_state, "`opsctl deploy` gives the verdict", SERVICE),
    rule("ecs-stop-timeout-covers-deadline", stop_timeout_covers_deadline, "raise stopTimeout (most: 120)", TASK),
    rule("image-by-digest", image_by_digest, "`opsctl image push` writes the digest", TASK),
    rule("no-plain-secret", no_plain_secret, "hand it on under `secrets`, by ARN", TASK),
    rule("ecs-read-only-root", root_is_read_only, "set readonlyRootFilesystem", TASK),
    rule("ecs-not-root", not_root, "set user to a number above 0", TASK),
    rule("ecs-no-capabilities", no_capabilities, "drop ALL, set initProcessEnabled", TASK),
    rule("ecs-two-roles", two_roles, "set executionRoleArn and taskRoleArn", TASK),
    rule("ecs-own-address", own_address, "set networkMode to awsvpc", TASK),
    rule("ecs-logs", logs_somewhere, "set logConfiguration, mode non-blocking", TASK),
    rule("ecs-insights", insights_on, "set containerInsights", CLUSTER),
    rule("ecs-sessions-on-record", sessions_on_record, "set executeCommandConfiguration", CLUSTER),
)
