"""Judge the facts of a stack: each check says what it found, and the command that fixes what isn't right. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.doctor.checks import PULUMI
from opsctl.endpoint.build import shape
from opsctl.endpoint.preflight.capacity import Fleet, capacity, no_such_type
from opsctl.errors import OpsctlError
from opsctl.preflight.check import Check, unknown
from opsctl.sheet import Usd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.config import StackConfig
    from opsctl.preflight.facts import EndpointRoom, Facts, Share
    from opsctl.preflight.needs import Need

SHOWN = 3


def judge(cfg: StackConfig, facts: Facts) -> tuple[Check, ...]:
    """All checks of the phase that the stack is in, in the order in which they are worth mending."""
    return tuple(_checks(cfg, facts))


def _checks(cfg: StackConfig, facts: Facts) -> Iterator[Check]:
    yield engine(facts)
    if cfg.region is not None:
        yield credentials(facts)
        for need in facts.needs:
            yield quota(cfg, need, facts.shares[need.name])
        if facts.room is not None:
            yield room(cfg, facts.room)
    if facts.architectures is not None:
        yield image(cfg, facts.architectures)
    if facts.secrets is not None:
        yield secrets(cfg, facts)
    if facts.name is not None:
        yield name(cfg, facts)
    if facts.endpoint is not None:
        yield endpoint(cfg, facts.endpoint)
    yield cost(cfg, facts)
    yield policy(cfg, facts)


def engine(facts: Facts) -> Check:
    """A Pulumi CLI that will do."""
    if isinstance(facts.pulumi, OpsctlError):
        return Check("pulumi", "failed", facts.pulumi.problem, facts.pulumi.next_step)
    found = ".".join(map(str, facts.pulumi))
    if facts.pulumi < PULUMI:
        return Check("pulumi", "failed", f"{found}, older than {'.'.join(map(str, PULUMI))}", "`make tools`")
    return Check("pulumi", "ok", found)


def credentials(facts: Facts) -> Check:
    """Somebody asks, and in the account that the stack is in."""
    if isinstance(facts.caller, OpsctlError):
        return Check("credentials", "failed", facts.caller.problem, facts.caller.next_step)
    found = f"account {facts.caller.account} as {facts.caller.arn}"
    if facts.account is not None and facts.account != facts.caller.account:
        return Check(
            "credentials", "failed", f"{found}; the stack is in {facts.account}", "set AWS_PROFILE to that one"
        )
    return Check("credentials", "ok", found)


def quota(cfg: StackConfig, need: Need, share: Share | OpsctlError) -> Check:
    """What the stack takes at its largest fits beside what others have."""
    if isinstance(share, OpsctlError):
        return unknown(need.name, share)
    if share.limit is None:
        return Check(need.name, "unknown", f"the account shows no quota {need.code} in {cfg.region}")
    others = int(share.others or 0)
    beside = f"{others} taken by others" if share.others is not None else "what others take is not known"
    found = f"{need.amount} needed ({need.why}), {share.limit:g} allowed, {beside}"
    if others + need.amount <= share.limit:
        return Check(need.name, "ok", found)
    raise_it = (
        f"`aws service-quotas request-service-quota-increase --service-code {need.service} --quota-code {need.code} "
        f"--desired-value {others + need.amount} --region {cfg.region}`"
    )
    return Check(need.name, "failed", found, raise_it)


def room(cfg: StackConfig, found: EndpointRoom) -> Check:
    """The model endpoint at its largest fits; what an update of it needs is `deploy-endpoint`'s to ask."""
    asking = cfg.generation
    if found.quota is None:
        return no_such_type("endpoint instances", str(cfg.region), asking.instance_type)
    fleet = Fleet(str(cfg.region), asking.instance_type, shape(asking.scaling), strategy=None)
    return capacity("endpoint instances", fleet, found.quota, found.running)


def image(cfg: StackConfig, architectures: tuple[str, ...] | OpsctlError) -> Check:
    """The registry has the image, for the architecture that it is to run on."""
    push = f"`opsctl image push --stack {cfg.stack}`"
    if isinstance(architectures, OpsctlError):
        return unknown("image", architectures)
    if not architectures:
        return Check("image", "failed", f"the registry has no {cfg.service.image}", push)
    if cfg.service.architecture not in architectures:
        return Check(
            "image",
            "failed",
            f"it is for {', '.join(architectures)}, the stack for {cfg.service.architecture}",
            f"`opsctl image build --platform linux/{_platform(cfg.service.architecture)}`, then {push}",
        )
    return Check("image", "ok", f"there, for {', '.join(architectures)}")


def secrets(cfg: StackConfig, facts: Facts) -> Check:
    """Every secret that the service is started with has a value."""
    if isinstance(facts.secrets, OpsctlError) or facts.secrets is None:
        return unknown("secrets", facts.secrets) if facts.secrets else Check("secrets", "unknown", "not asked")
    empty = [kept.name for kept in facts.secrets if not kept.given and kept.changed is None]
    if empty:
        fix = "; ".join(f"`opsctl secrets set {each} --stack {cfg.stack}`" for each in empty)
        return Check("secrets", "failed", f"{', '.join(empty)}: no value", fix)
    return Check("secrets", "ok", f"{len(facts.secrets)}, each with a value")


def name(cfg: StackConfig, facts: Facts) -> Check:
    """The zone of the public name is there, and its certificate isn't stuck."""
    if isinstance(facts.name, OpsctlError):
        return unknown("name", facts.name)
    zone = cfg.domain.zone if cfg.domain else ""
    if facts.name is None or not facts.name.zone:
        return Check(
            "name",
            "failed",
            f"Route 53 has no public zone {zone}",
            f"`aws route53 create-hosted-zone --name {zone} --caller-reference 1`, then delegate it",
        )
    if facts.name.certificate in {None, "ISSUED", "PENDING_VALIDATION"}:
        return Check("name", "ok", f"zone {zone} is there, certificate {facts.name.certificate or 'not asked for yet'}")
    return Check("name", "failed", f"the certificate is {facts.name.certificate}", "see `aws acm describe-certificate`")


def endpoint(cfg: StackConfig, state: str | OpsctlError) -> Check:
    """The model endpoint that the service asks is in service."""
    deploy = f"`opsctl deploy-endpoint --stack {cfg.stack}`"
    if isinstance(state, OpsctlError):
        return unknown("model endpoint", state)
    if state != "InService":
        return Check("model endpoint", "failed", f"'{cfg.generation.endpoint}' is {state or 'not there'}", deploy)
    return Check("model endpoint", "ok", f"'{cfg.generation.endpoint}' is in service")


def cost(cfg: StackConfig, facts: Facts) -> Check:
    """The estimate is within the budget."""
    if isinstance(facts.estimate, OpsctlError):
        return unknown("cost", facts.estimate)
    least = "at least " if facts.estimate.incomplete else ""
    found = f"{least}{Usd(facts.estimate.monthly_usd)} of {Usd(facts.estimate.budget_usd)} USD a month"
    if facts.estimate.monthly_usd > facts.estimate.budget_usd:
        fix = f"`opsctl cost-report --stack {cfg.stack} --optimise`, or raise budget.monthlyUsd"
        return Check("cost", "failed", found, fix)
    return Check("cost", "ok", found)


def policy(cfg: StackConfig, facts: Facts) -> Check:
    """The program breaks no rule of the policy pack."""
    if not facts.violations:
        return Check("policy", "ok", "no rule is broken")
    shown = "; ".join(facts.violations[:SHOWN])
    more = f"; and {len(facts.violations) - SHOWN} more" if len(facts.violations) > SHOWN else ""
    fix = f"`pulumi preview --policy-pack infra/policies --stack {cfg.stack}` names each with its fix"
    return Check("policy", "failed", f"{shown}{more}", fix)


def _platform(architecture: str) -> str:
    return {"x86_64": "amd64"}.get(architecture, architecture)
