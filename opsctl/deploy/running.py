"""What runs now, asked of the platform itself: one finder per topology, here and nowhere else in opsctl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from opsctl.deploy.shift import Mover
from opsctl.deploy.verdict import Running, Verdict, judge
from opsctl.errors import NotDeployed, NotUsable, TimedOut
from opsctl.smoke.client import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.stack import Delivery, Release

POLL_S = 5.0
EDGE_LIMIT_S = 10.0
ROLLOUTS = {"IN_PROGRESS": "settling", "COMPLETED": "done", "FAILED": "failed"}


def ecs(delivery: Delivery) -> Running:
    """Task definition, images and rollout of the service's primary deployment."""
    from opsctl.aws import ecs_service  # noqa: PLC0415 - boto3 is paid by the topology that needs it

    if delivery.cluster is None or delivery.cluster.service is None:
        raise NotDeployed("the stack has no ECS service yet", next_step="set service.image: `opsctl image push`")
    found = ecs_service(delivery.region, delivery.cluster.name, delivery.cluster.service)
    short = found.running < found.desired and found.rollout == "COMPLETED"
    return Running(
        revision=found.task_definition,
        images=found.images,
        state="settling" if short or found.rollout not in ROLLOUTS else ROLLOUTS[found.rollout],  # type: ignore[arg-type]
        reason=found.undone,
        wanted_replicas=found.desired,
        ready_replicas=found.running,
    )


def serverless(delivery: Delivery) -> Running:
    """The version behind the function's alias, its code, its warm instances, and a rollout that moves it bit by bit."""
    from opsctl.aws.function import function_alias  # noqa: PLC0415 - boto3 is paid by the topology that needs it
    from opsctl.aws.traffic import ShiftsAtAws  # noqa: PLC0415

    if delivery.cluster is None or delivery.cluster.service is None:
        raise NotDeployed("the stack has no function yet", next_step="set service.image: `opsctl image push`")
    rollout = delivery.rollout  # asked before the alias: where it has ended, the alias is where it left it
    newest = ShiftsAtAws.open(delivery.region, rollout.application, rollout.group).newest() if rollout else None
    found = function_alias(delivery.region, delivery.cluster.name, delivery.cluster.service)
    warm = found.warm
    moving = found.shared or (newest is not None and newest.going_on)
    settling = moving or found.state == "Pending" or (warm is not None and warm.status == "IN_PROGRESS")
    failed = found.state == "Failed" or (warm is not None and warm.status == "FAILED")
    return Running(
        revision=found.revision,
        images=found.images,
        state="settling" if settling else "failed" if failed else "done",
        reason=newest.undone if newest and newest.undone else (warm and warm.reason) or found.reason,
        wanted_replicas=0 if found.stopped else warm.wanted if warm else None,
        ready_replicas=0 if found.stopped else warm.ready if warm else None,
    )


def mover_of(delivery: Delivery) -> Mover:
    """Who moves the requests of a stack that has a `rollout`.

    Raises:
        NotDeployed: there is no function whose requests could be moved.
    """
    from opsctl.aws.function import function_alias  # noqa: PLC0415
    from opsctl.aws.traffic import ShiftsAtAws  # noqa: PLC0415

    where, rollout = delivery.cluster, delivery.rollout
    if where is None or where.service is None or rollout is None:
        raise NotDeployed("the stack has no function whose requests move", next_step="deploy it: `pulumi up`")
    name, alias = where.name, where.service
    shifts = ShiftsAtAws.open(delivery.region, rollout.application, rollout.group)
    return Mover(shifts, name, alias, lambda: function_alias(delivery.region, name, alias).version)


def hybrid(delivery: Delivery) -> Running:
    """The release that the edge's own /readyz names."""
    if delivery.url is None:
        raise NotDeployed("the stack has no url", next_step="deploy it: `make up`")
    try:
        ready = httpx.get(f"{delivery.url}/readyz", timeout=EDGE_LIMIT_S, trust_env=not is_loopback(delivery.url))
        release = ready.json().get("release")
    except (httpx.HTTPError, ValueError, AttributeError):
        return Running(None, (), "settling")  # it starts, or it is down: the time limit tells them apart
    return Running(release, (), "done" if ready.status_code == httpx.codes.OK else "settling")


def eks(delivery: Delivery) -> Running:
    """Revision and images of the pods that are ready, and how the Deployment's rollout goes."""
    from opsctl.kube import deployment  # noqa: PLC0415 - the client is paid by the topology that needs it

    if delivery.cluster is None or delivery.cluster.service is None:
        raise NotDeployed("the stack has no Deployment yet", next_step="set service.image: `opsctl image push`")
    namespace, _, name = delivery.cluster.service.partition("/")
    found = deployment(delivery.region, delivery.cluster.name, namespace, name)
    serves = found.ready[0] if found.ready else found.wanted
    failed = found.given_up is not None
    return Running(
        revision=serves.revision,
        images=serves.images,
        state="failed" if failed else "done" if found.settled else "settling",
        reason="; ".join(why for why in (found.given_up, found.waits) if why) or None,
        wanted_replicas=found.replicas,
        ready_replicas=sum(each.ready for each in found.ready if each.revision == found.wanted.revision),
    )


FINDERS: dict[str, Callable[[Delivery], Running]] = {"ecs": ecs, "eks": eks, "lambda": serverless, "hybrid": hybrid}


def settle(delivery: Delivery, wanted: Release, *, limit_s: float, poll_s: float = POLL_S) -> tuple[Running, Verdict]:
    """Wait until the rollout has ended, either way.

    Raises:
        TimedOut: it still goes on after `limit_s` seconds.
        NotUsable: no finder for this topology.
    """
    finder = FINDERS.get(delivery.topology)
    if finder is None:
        raise NotUsable(
            f"opsctl can't tell what runs on topology '{delivery.topology}'",
            next_step=f"use one of {', '.join(FINDERS)}, or check it by hand",
        )

    def look() -> tuple[Running, Verdict]:
        running = finder(delivery)
        return running, judge(wanted, running)

    polling = Retrying(
        stop=stop_after_delay(limit_s),
        wait=wait_fixed(poll_s),
        retry=retry_if_result(lambda seen: seen[1].status == "settling"),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    running, verdict = polling(look)
    if verdict.status == "settling":
        raise TimedOut(
            f"{verdict.why} after {limit_s:g} s", next_step="run the same command again, or `opsctl rollback`"
        )
    return running, verdict
