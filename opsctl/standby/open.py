"""From a stack's name to its parts, its bills and its proof, put together here only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsctl.deploy.running import settle
from opsctl.endpoint.names import Names
from opsctl.endpoint.open import StackTarget
from opsctl.errors import NotUsable, RolledBack
from opsctl.stack import Release, read_delivery
from opsctl.stack_config import read_stack_config
from opsctl.standby.bills import bills
from opsctl.standby.held import Held
from opsctl.standby.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from opsctl.project import Project
    from opsctl.stack import Delivery
    from opsctl.standby.bills import Bill
    from opsctl.standby.part import Part

WAY_BACK = "`opsctl status` and `opsctl logs` say more; then run the same command again"


@dataclass(frozen=True, slots=True)
class Standby:
    """A stack's parts, the one that tells of the others first."""

    parts: tuple[Part, ...]
    delivery: Delivery
    stack: str
    limit_s: float

    def prove(self) -> None:
        """Wait until the platform runs what the stack promises; a stack without a workload has nothing to prove.

        Raises:
            RolledBack, CloudRefused, TimedOut
        """
        wanted = self.delivery.release or Release()
        if wanted.revision is None or self.delivery.topology == "hybrid":
            return
        _, verdict = settle(self.delivery, wanted, limit_s=self.limit_s)
        if verdict.status != "running":
            raise RolledBack(f"stack '{self.stack}' doesn't run what was asked for: {verdict.why}", next_step=WAY_BACK)

    def bills(self) -> tuple[Bill, ...]:
        """What is paid by the hour now.

        Raises:
            CloudRefused, TimedOut
        """
        from opsctl.aws.running import Running  # noqa: PLC0415 - boto3 is paid when it is needed
        from opsctl.functions.cost_rate.rate import prices  # noqa: PLC0415

        region, endpoint = str(self.delivery.region), self.delivery.endpoint
        running = Running.open(region, self.stack).by_price((endpoint.name or "") if endpoint else "")
        return bills(running, prices(region))


def open_standby(
    project: Project, stack: str, environ: Mapping[str, str], talk: Console, *, endpoint: bool, limit_s: float
) -> Standby:
    """Read the stack's config, outputs and state.

    Raises:
        NotUsable: nothing of it is in a cloud.
        StackNotFound, NotDeployed, CloudRefused, TimedOut
    """
    delivery = read_delivery(project, stack, environ)
    if delivery.region is None:
        raise NotUsable(
            f"nothing of stack '{stack}' is in a cloud: it bills nothing",
            next_step=f"`pulumi destroy --stack {stack}` (`make down`) ends it",
        )
    from opsctl.aws.standby import Alarms  # noqa: PLC0415 - boto3 is paid when it is needed

    found: list[Part] = [Alarms(delivery.region, f"rag-platform-{stack}-")]
    found += PARTS[delivery.topology](delivery, Held.read(project, stack, environ))
    if endpoint and delivery.endpoint is not None and delivery.endpoint.name is not None:
        found.append(_endpoint(StackTarget(read_stack_config(project, stack), delivery), talk, limit_s))
    return Standby(tuple(found), delivery, stack, limit_s)


def _endpoint(target: StackTarget, talk: Console, limit_s: float) -> Part:
    from opsctl.aws.documents import BucketDocument  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.standby.endpoint import ModelEndpoint  # noqa: PLC0415

    key = Names(target.cfg.generation.endpoint).journal_key.replace("journal", "pause")
    return ModelEndpoint(target, BucketDocument.open(target.region, target.bucket, key), talk, limit_s)
