"""Judge whether the account may run an endpoint's instances, beside what else runs there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.endpoint.rollout import batch
from opsctl.endpoint.spec import Classic
from opsctl.errors import OpsctlError
from opsctl.preflight.check import Check, unknown

if TYPE_CHECKING:
    from opsctl.endpoint.preflight.facts import Quota, Running
    from opsctl.endpoint.rollout import Strategy
    from opsctl.endpoint.spec import Shape


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of one endpoint.

    Attributes:
        strategy: of its next update; None where it is not about to be updated.
    """

    region: str
    instance_type: str
    shape: Shape
    strategy: Strategy | None


def capacity(name: str, fleet: Fleet, quota: Quota | OpsctlError | None, running: Running | OpsctlError) -> Check:
    """The account may run as many instances as the endpoint needs at its peak.

    Args:
        name: of the check.
        fleet: what the endpoint is to run on.
        quota: None where the region has no such instance type.
        running: instances of the type in the account.
    """
    if isinstance(quota, OpsctlError):
        return unknown(name, quota)
    if isinstance(running, OpsctlError):
        return unknown(name, running)
    if quota is None:
        return Check(name, "unknown", f"there is none for {fleet.instance_type}, which {fleet.region} hasn't got")
    others = running.all - running.own
    peak, why = peak_instances(fleet.shape, running.own, fleet.strategy)
    needed, allowed = others + peak, int(quota.value)
    found = f"{allowed} {fleet.instance_type} allowed, {running.all} running; {peak} needed {why}"
    if needed <= allowed:
        return Check(name, "ok", found)
    fix = (
        "`aws service-quotas request-service-quota-increase --service-code sagemaker "
        f"--quota-code {quota.code} --desired-value {needed} --region {fleet.region}`"
    )
    rolling, _ = peak_instances(fleet.shape, running.own, "rolling")
    if rolling < peak and others + rolling <= allowed:
        fix += ", or --strategy rolling"
    return Check(name, "failed", found, fix)


def no_such_type(name: str, region: str, instance_type: str) -> Check:
    """What is said where the region has no quota for the type: it hasn't got it."""
    fix = "`pulumi config set --path generation.instanceType <type>`, or another aws:region"
    return Check(name, "failed", f"{region} has no {instance_type} for endpoints", fix)


def peak_instances(shape: Shape, own: int, strategy: Strategy | None) -> tuple[int, str]:
    """The most instances that this endpoint has at one time, and when that is."""
    if isinstance(shape, Classic):
        fleet = max(own, shape.min_instances)
        update = fleet + (batch(fleet) if strategy == "rolling" else fleet)
        how = "during a rolling update" if strategy == "rolling" else "while both fleets of an update run"
        largest = (shape.max_instances, "at its largest")
    else:
        update, how = max(own, 1) + batch(max(own, 1)), "during an update"
        largest = (shape.max_copies, "at its largest")
    return largest if strategy is None else max(largest, (update, how))
