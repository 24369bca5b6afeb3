"""Judge the facts: each check says what it found, and the command that fixes what isn't as it should be. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.endpoint.chat_template import TEMPLATE_FLAG
from opsctl.endpoint.fit import fit
from opsctl.endpoint.preflight.bill import bill
from opsctl.endpoint.preflight.capacity import Fleet, capacity, no_such_type
from opsctl.endpoint.spec import HubModel
from opsctl.errors import CloudRefused, NoSuchModel, OpsctlError, TimedOut, ToolMissing
from opsctl.preflight.check import Check, unknown

if TYPE_CHECKING:
    from opsctl.endpoint.preflight.facts import Facts
    from opsctl.endpoint.rollout import Strategy
    from opsctl.endpoint.spec import EndpointSpec


def judge(spec: EndpointSpec, facts: Facts, strategy: Strategy) -> tuple[Check, ...]:
    """All checks, in the order in which they are worth mending."""
    return (
        credentials(facts),
        region(spec, facts),
        quota(spec, facts, strategy),
        gpu(spec, facts),
        weights(spec, facts),
        prompt(spec, facts),
        role(spec, facts),
        bucket(facts),
        key(facts),
        bill_check(spec, facts),
    )


def credentials(facts: Facts) -> Check:
    """Somebody is asking."""
    if isinstance(facts.caller, OpsctlError):
        return Check("credentials", "failed", facts.caller.problem, facts.caller.next_step)
    return Check("credentials", "ok", f"account {facts.caller.account} as {facts.caller.arn}")


def region(spec: EndpointSpec, facts: Facts) -> Check:
    """The region has the instance type: there is a quota for it only where there is."""
    if isinstance(facts.quota, OpsctlError):
        return unknown("region", facts.quota)
    if facts.quota is None:
        return no_such_type("region", spec.region, spec.instance_type)
    return Check("region", "ok", f"{spec.region} has {spec.instance_type}")


def quota(spec: EndpointSpec, facts: Facts, strategy: Strategy) -> Check:
    """The account may run as many instances as the endpoint needs at its peak."""
    fleet = Fleet(spec.region, spec.instance_type, spec.shape, strategy)
    return capacity("quota", fleet, facts.quota, facts.running)


def gpu(spec: EndpointSpec, facts: Facts) -> Check:
    """The model fits."""
    if isinstance(facts.card, OpsctlError):
        return unknown("gpu", facts.card)
    if facts.card.architecture is None:
        problem = facts.card.problem
        return Check("gpu", "unknown", problem.problem if problem else "nothing is known of the model")
    verdict = fit(facts.card.architecture, spec.instance_type, spec.quantization, spec.context_tokens)
    if verdict is None:
        return Check("gpu", "unknown", f"the GPUs of {spec.instance_type} aren't in the table")
    need = verdict.need
    sums = (
        f"weights {need.weights_gib:.1f} + cache of one context {need.cache_gib:.1f} + overhead "
        f"{need.overhead_gib:.1f} = {need.gib:.1f} of {verdict.usable_gib:.1f} GiB usable"
    )
    if verdict.problem is None:
        enough = "" if verdict.smallest == spec.instance_type else f"; {verdict.smallest} would hold it too"
        beside = f"{verdict.contexts} contexts of {spec.context_tokens} tokens side by side"
        return Check("gpu", "ok", f"{sums}; {beside}{enough}")
    smaller = f"`pulumi config set --path generation.instanceType {verdict.smallest}`" if verdict.smallest else None
    others = "another generation.quantization or a smaller generation.contextTokens"
    return Check("gpu", "failed", f"{verdict.problem}: {sums}", f"{smaller}, or {others}" if smaller else others)


def weights(spec: EndpointSpec, facts: Facts) -> Check:
    """The container can get the weights."""
    if not isinstance(spec.source, HubModel):
        return Check("weights", "ok", f"{spec.source.uri}, without a network")
    if isinstance(facts.card, OpsctlError):
        return unknown("weights", facts.card)
    problem, copy = facts.card.problem, f"`opsctl model upload --stack {spec.stack} {spec.source.model}`"
    if isinstance(problem, NoSuchModel):
        return Check("weights", "failed", problem.problem, f"{problem.next_step}; then {copy}")
    if isinstance(problem, CloudRefused | TimedOut | ToolMissing):
        return Check("weights", "unknown", f"the hub was not asked: {problem.problem}", problem.next_step)
    return Check(
        "weights",
        "ok",
        "pulled from the hub at each start",
        f"for repeatable, faster starts: {copy}",
    )


def prompt(spec: EndpointSpec, facts: Facts) -> Check:
    """A chat can be made a prompt: vLLM refuses every request to a model without a template."""
    if spec.engine == "tgi" or TEMPLATE_FLAG in dict(spec.environment):
        return Check("prompt", "ok", "in the Alpaca form")
    if isinstance(facts.card, OpsctlError):
        return unknown("prompt", facts.card)
    if facts.card.has_template is None:
        return Check("prompt", "unknown", "whether the model has a chat template could not be read")
    if facts.card.has_template:
        return Check("prompt", "ok", "by the model's own chat template")
    fix = f"`opsctl model upload --stack {spec.stack} {spec.source.model}`: a copy is served in the Alpaca form"
    return Check("prompt", "failed", "the model has no chat template", fix)


def role(spec: EndpointSpec, facts: Facts) -> Check:
    """SageMaker may be given the role."""
    up = f"`pulumi up --stack {spec.stack}` writes its trust policy"
    if isinstance(facts.role, OpsctlError):
        return unknown("role", facts.role)
    if not facts.role.trusts_sagemaker:
        return Check("role", "failed", f"{spec.role_arn} doesn't trust sagemaker.amazonaws.com", up)
    if facts.role.passable is None:
        return Check("role", "unknown", "SageMaker may assume it; IAM would not say whether you may pass it")
    if not facts.role.passable:
        return Check("role", "failed", "you may not pass it to SageMaker", f"allow iam:PassRole on {spec.role_arn}")
    return Check("role", "ok", "SageMaker may assume it, and you may pass it")


def bucket(facts: Facts) -> Check:
    """The bucket of weights and journal answers."""
    if isinstance(facts.bucket, OpsctlError):
        return Check("bucket", "failed", facts.bucket.problem, facts.bucket.next_step)
    return Check("bucket", "ok", "can be read")


def key(facts: Facts) -> Check:
    """The key can be used."""
    if isinstance(facts.key, OpsctlError):
        return unknown("key", facts.key)
    if facts.key in {None, "Enabled"}:
        return Check("key", "ok", "enabled" if facts.key else "AWS's own")
    return Check("key", "failed", f"it is {facts.key}", "`aws kms enable-key` or `aws kms cancel-key-deletion`")


def bill_check(spec: EndpointSpec, facts: Facts) -> Check:
    """What it costs; a price that isn't known is said to be so."""
    found = bill(spec, facts.price)
    return Check("cost", "unknown" if found.hourly_usd is None else "ok", found.spelled)
