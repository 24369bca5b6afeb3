"""Ask for every fact of a stack's preflight; the parts that the stack's phase hasn't got are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra import offline
from infra.policies import pack
from infra.policies.rules import Resource
from opsctl.cost.estimate import estimate
from opsctl.cost.pricing import DEFAULT_REGION
from opsctl.credentials.vendors import listed
from opsctl.errors import NotDeployed, OpsctlError, StackNotFound
from opsctl.preflight.check import asked
from opsctl.preflight.facts import EndpointRoom, Estimate, Facts, Name
from opsctl.preflight.needs import needs
from opsctl.project import find_pulumi
from opsctl.pulumi_cli import version
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.config import StackConfig
    from infra.offline import Program
    from opsctl.credentials.vendors import Kept
    from opsctl.project import Project
    from opsctl.stack import Delivery

ACCOUNT = re.compile(r":(\d{12}):")
ECR = ".dkr.ecr."


@dataclass(frozen=True, slots=True)
class Observer:
    """Of one stack."""

    project: Project
    cfg: StackConfig
    environ: Mapping[str, str]

    def facts(self) -> Facts:
        """All of them; changes nothing and costs nothing."""
        from opsctl.aws import account, limits  # noqa: PLC0415 - boto3 is paid when it is needed

        cfg, region = self.cfg, self.cfg.region
        delivery, program = self._delivery(), offline.declare(cfg)
        sagemaker = region if cfg.generation.provider == "sagemaker" else None
        wanted = needs(cfg, program) if region else []
        return Facts(
            pulumi=asked(lambda: version(find_pulumi(self.project, self.environ))),
            caller=asked(lambda: account.caller(region or DEFAULT_REGION)),
            account=_account(delivery),
            needs=tuple(wanted),
            shares={need.name: asked(lambda need=need: limits.share(str(region), need, cfg.stack)) for need in wanted},  # type: ignore[misc]
            architectures=self._architectures(),
            secrets=None if delivery is None else asked(lambda: self._secrets(delivery)),
            name=asked(self._name) if cfg.domain and region else None,
            endpoint=asked(lambda: limits.endpoint_state(sagemaker, cfg.generation.endpoint))
            if sagemaker and cfg.has_workload
            else None,
            room=self._room(sagemaker) if sagemaker else None,
            estimate=asked(lambda: self._estimate(program)),
            violations=_violations(program),
        )

    def _delivery(self) -> Delivery | None:
        try:
            return read_delivery(self.project, self.cfg.stack, self.environ)
        except (NotDeployed, StackNotFound):
            return None

    def _architectures(self) -> tuple[str, ...] | OpsctlError | None:
        from opsctl.aws.image_platforms import architectures  # noqa: PLC0415

        image, region = self.cfg.service.image, self.cfg.region
        if image is None or region is None or ECR not in image or "@" not in image:
            return None
        return asked(lambda: architectures(region, image))

    def _secrets(self, delivery: Delivery) -> tuple[Kept, ...]:
        from opsctl.aws.secret_dates import changed_at  # noqa: PLC0415

        found = listed(self.cfg, delivery, lambda arn: changed_at(delivery.region, arn))
        return tuple(kept for kept in found if kept.given is not None) if self.cfg.has_workload else ()

    def _name(self) -> Name:
        from opsctl.aws.limits import public_name  # noqa: PLC0415

        assert self.cfg.domain is not None  # noqa: S101 - the caller asked
        return public_name(str(self.cfg.region), self.cfg.domain.name, self.cfg.domain.zone)

    def _room(self, region: str) -> EndpointRoom:
        from opsctl.aws import account  # noqa: PLC0415

        asking = self.cfg.generation
        return EndpointRoom(
            quota=asked(lambda: account.endpoint_quota(region, asking.instance_type)),
            running=asked(lambda: account.running_instances(region, asking.instance_type, asking.endpoint)),
        )

    def _estimate(self, program: Program) -> Estimate:
        found = estimate(self.cfg, program)
        return Estimate(found.totals.monthly, self.cfg.budget.monthly_usd, tuple(found.incomplete))


def _account(delivery: Delivery | None) -> str | None:
    for arn in ((delivery.secrets if delivery else None) or {}).values():
        if found := ACCOUNT.search(arn):
            return found[1]
    return None


def _violations(program: Program) -> tuple[str, ...]:
    providers = program.of("pulumi:providers:aws")
    default = providers[0].inputs if providers else {}
    seen = [
        Resource(each.type, each.name, dict(each.inputs), pack.tags_of(each.inputs, default), each.urn)
        for each in program.resources
    ]
    return tuple(f"{rule}: {problem}" for rule, problem in pack.violations(seen))
