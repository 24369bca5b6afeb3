"""One screen about a stack: what runs, what it depends on, what rings, what it costs now, what was done last.

Each line is asked for by itself: one that is refused is unknown, and says which permission or command is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import httpx

from opsctl.deploy.engine import open_engine
from opsctl.deploy.releases import verdict_now
from opsctl.errors import CloudRefused, OpsctlError
from opsctl.preflight.check import Check
from opsctl.smoke.client import is_loopback
from opsctl.stack import read_delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsctl.project import Project
    from opsctl.stack import Delivery

LIMIT_S = 10.0
Line = tuple[str, str | None]  # what was found, and what mends it where it isn't as promised


@dataclass(frozen=True)
class Status:
    """Asks about one stack."""

    project: Project
    stack: str
    environ: Mapping[str, str]

    @cached_property
    def delivery(self) -> Delivery:
        """The stack's outputs.

        Raises:
            StackNotFound, NotDeployed, ToolMissing, CloudRefused, TimedOut
        """
        return read_delivery(self.project, self.stack, self.environ)

    def checks(self) -> Iterator[Check]:
        """The lines, as they are answered; a line that is not as promised has `failed`."""
        delivery = self.delivery
        yield Check("topology", "ok", delivery.topology)
        yield Check("url", "ok", delivery.url or "none yet: the first phase of the stack")
        yield self._line("release", self._release)
        yield self._line("last deploy", self._last)
        if delivery.health_url is not None:
            yield self._line("dependencies", self._dependencies)
        if delivery.region is None:
            return
        if delivery.endpoint is not None and delivery.endpoint.name is not None:
            yield self._line("model endpoint", self._endpoint)
        yield self._line("alarms", self._alarms)
        yield self._line("cost now", self._cost)

    def _line(self, name: str, ask: Callable[[], Line]) -> Check:
        try:
            found, fix = ask()
        except OpsctlError as exc:
            return Check(name, "unknown", exc.problem, exc.next_step)
        return Check(name, "ok" if fix is None else "failed", found, fix)

    def _release(self) -> Line:
        if self.delivery.topology != "hybrid" and (self.delivery.release is None or not self.delivery.release.image):
            return "nothing runs yet", None
        verdict = verdict_now(self.project, self.stack, self.environ)
        if isinstance(verdict, OpsctlError):
            raise verdict
        fix = None if verdict.status == "running" else f"`opsctl deploy --stack {self.stack}`, or `opsctl rollback`"
        return f"{verdict.status}: {verdict.why}", fix

    def _last(self) -> Line:
        updates = open_engine(self.project, self.stack, self.environ).updates(1)
        if not updates:
            return "none", None
        last = updates[0]
        told = f"{last.at:%Y-%m-%d %H:%M}" + (f" by {last.who}" if last.who else "") + f": {last.result}"
        return told, None if last.succeeded else f"run `opsctl deploy --stack {self.stack}` again: it goes on"

    def _dependencies(self) -> Line:
        url = str(self.delivery.health_url)
        try:
            said = httpx.get(url, timeout=LIMIT_S, trust_env=not is_loopback(url)).json()["dependencies"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as exc:
            raise CloudRefused(
                f"{url} gives no answer that names its dependencies ({type(exc).__name__})",
                next_step=f"`opsctl smoke-test --stack {self.stack}` says why",
            ) from exc
        told = ", ".join(f"{name} {state}" for name, state in sorted(said.items()))
        down = [name for name, state in said.items() if state == "down"]
        return told, f"see what it says: `opsctl smoke-test --stack {self.stack}`" if down else None

    def _endpoint(self) -> Line:
        from opsctl.aws.limits import endpoint_state  # noqa: PLC0415 - boto3 is paid by those that need it

        assert self.delivery.endpoint is not None  # noqa: S101 - the caller asked
        name = str(self.delivery.endpoint.name)
        state = endpoint_state(str(self.delivery.region), name)
        if not state:
            return f"{name} is not deployed", None
        return f"{name} {state}", f"`opsctl endpoint status --stack {self.stack}`" if state == "Failed" else None

    def _alarms(self) -> Line:
        from opsctl.aws.alarms import ringing  # noqa: PLC0415

        prefix = f"rag-platform-{self.stack}-"
        found = [name.removeprefix(prefix) for name in ringing(str(self.delivery.region), prefix)]
        if not found:
            return "none rings", None
        return ", ".join(found), "each has an entry in docs/operations.md#alarms"

    def _cost(self) -> Line:
        from opsctl.aws.running import Running  # noqa: PLC0415
        from opsctl.functions.cost_rate.rate import prices, rate  # noqa: PLC0415

        region, endpoint = str(self.delivery.region), self.delivery.endpoint
        cloud = Running.open(region, self.stack)
        running = cloud.by_price((endpoint.name or "") if endpoint else "")
        found = rate(running, cloud.spent_usd(f"rag-platform/{self.stack}"), prices(region))
        unpriced = f"; without a price: {', '.join(found.unpriced)}" if found.unpriced else ""
        return f"{found.usd:.3f} USD an hour{unpriced}", None
