"""Observe, judge, show: the preflight as `deploy-endpoint` runs it before it asks for consent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.endpoint.model_card import read_model_card
from opsctl.endpoint.preflight.bill import price_of
from opsctl.endpoint.preflight.checks import judge
from opsctl.endpoint.preflight.facts import Facts
from opsctl.errors import OpsctlError
from opsctl.output import working
from opsctl.preflight.check import asked, refuse_failed, show

if TYPE_CHECKING:
    from rich.console import Console

    from opsctl.endpoint.rollout import Strategy
    from opsctl.endpoint.spec import EndpointSpec
    from opsctl.preflight.check import Check
    from opsctl.settings import Hub


@dataclass(frozen=True, slots=True)
class Preflight:
    """The checks of one spec, shown as talk."""

    spec: EndpointSpec
    bucket: str
    hub: Hub
    strategy: Strategy
    talk: Console

    def look(self) -> tuple[Check, ...]:
        """Ask, judge and show."""
        with working(self.talk, "checking the account ..."):
            checks = preflight(self.spec, self.bucket, self.hub, self.strategy)
        if self.talk.is_terminal:
            show(self.talk, checks)
        else:
            for each in checks:
                self.talk.print(f"{each.status} {each.name}: {each.evidence}{f'; {each.fix}' if each.fix else ''}")
        return checks

    def hold(self) -> None:
        """Look, and go on only if nothing would fail.

        Raises:
            CheckFailed
        """
        refuse_failed(self.look())


def preflight(spec: EndpointSpec, bucket: str, hub: Hub, strategy: Strategy) -> tuple[Check, ...]:
    """Look at the account and judge whether `spec` can be made there."""
    return judge(spec, observe(spec, bucket, hub), strategy)


def observe(spec: EndpointSpec, bucket: str, hub: Hub) -> Facts:
    """Ask for every fact; what could not be asked for is the error that says why."""
    from opsctl.aws import account  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.aws.weights import WeightsBucket  # noqa: PLC0415

    caller = asked(lambda: account.caller(spec.region))
    return Facts(
        caller=caller,
        quota=asked(lambda: account.endpoint_quota(spec.region, spec.instance_type)),
        running=asked(lambda: account.running_instances(spec.region, spec.instance_type, spec.endpoint)),
        role=caller
        if isinstance(caller, OpsctlError)
        else asked(lambda: account.execution_role(spec.region, spec.role_arn, caller)),
        bucket=asked(lambda: account.bucket_is_there(spec.region, bucket)),
        key=asked(lambda: account.key_state(spec.region, spec.key_arn)),
        card=asked(lambda: read_model_card(spec.source.model, WeightsBucket.open(bucket, spec.region), hub)),
        price=price_of(spec),
    )
