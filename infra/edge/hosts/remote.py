"""A running edge on a host behind SSH: the same calls, made there by `python -m infra.edge.on_host`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infra.edge.errors import EdgeError
from infra.edge.hosts.address import parse
from infra.edge.hosts.transport import Transport, transport_to
from infra.edge.running import Release, ServiceInputs

MARGIN_S = 120.0  # beyond the time that the programs may take themselves
GONE = 66  # EX_NOINPUT: nothing is installed there
# What programs keep under ~/.cache belongs to the stack too, and goes with it.
ENTER = 'cd -- "$2" 2>/dev/null && test -x "$3" || exit 66; HOME=$1 exec "$3" -m infra.edge.on_host "$4"'


@dataclass(frozen=True, slots=True)
class RemoteEdge:
    """As `RunningEdge`, one host away."""

    transport: Transport

    @classmethod
    def at(cls, host: str) -> RemoteEdge:
        """The edge on `host`, an entry of `hybrid.edge.hosts`."""
        return cls(transport_to(parse(host)))

    def taken(self, inputs: ServiceInputs) -> tuple[str, ...]:
        """Nothing before it is installed: `up` looks."""
        del inputs
        return ()

    def drift(self, inputs: ServiceInputs) -> str | None:
        """As `RunningEdge.drift`, with the host's name."""
        found = self._ask("drift", inputs)
        drift = "nothing is installed" if found is None else found["drift"]
        return f"edge host {self.transport.host}: {drift}" if drift else None

    def up(self, inputs: ServiceInputs) -> None:
        """As `RunningEdge.up`."""
        if self._ask("up", inputs) is None:
            raise EdgeError(f"edge host {self.transport.host}: its installation is gone; run `pulumi up` again")

    def restore(self, inputs: ServiceInputs) -> None:
        """As `RunningEdge.restore`."""
        self._ask("restore", inputs)

    def stop(self, inputs: ServiceInputs) -> None:
        """As `RunningEdge.stop`; fine where nothing is installed."""
        self._ask("stop", inputs)

    def _ask(self, verb: str, inputs: ServiceInputs) -> dict[str, Any] | None:
        release = _release(inputs)
        patience = inputs.start_seconds + 2 * sum(program.stop_wait_s for program in inputs.programs) + MARGIN_S
        done = self.transport.run(
            ["sh", "-c", ENTER, "edge", release.base, f"{release.base}/{release.app}", release.python, verb],
            stdin=inputs.model_dump_json(by_alias=True).encode(),
            limit_s=patience,
        )
        if done.code == GONE:
            return None
        if done.code:
            raise EdgeError(f"edge host {self.transport.host}: {done.last_words}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def _release(inputs: ServiceInputs) -> Release:
    if inputs.release is None:
        raise EdgeError(f"{inputs.host}: the state says nothing about what is installed there; run `pulumi refresh`")
    return inputs.release
