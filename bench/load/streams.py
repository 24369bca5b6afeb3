"""L6: many slow streams leave the service responsive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from figures import Figure

from load.stack import drive_all, model, plan, service
from opsctl.load.outcome import GOOD
from opsctl.load.request import Asking
from opsctl.load.schedule import Phase, Schedule

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS, ARRIVAL_S = 200, 6
PIECES, GAP_S, PAUSE_S = 24, 0.5, 0.1
PROBE_PER_S = 20.0


def measure(bundle: Path) -> list[Figure]:
    """200 clients that read slowly what a model says slowly; every one is open when the first probes come."""
    lasts_s = PIECES * GAP_S
    joining = Schedule(phases=(Phase(name="ramp", per_s=CLIENTS / ARRIVAL_S, seconds=ARRIVAL_S),), arrivals="even")
    probing = Schedule(
        phases=(Phase(per_s=0, seconds=ARRIVAL_S), Phase(per_s=PROBE_PER_S, seconds=lasts_s - ARRIVAL_S)),
        arrivals="even",
    )
    with model(pieces=PIECES, gap_s=GAP_S) as slow, service(bundle, slow, RAG_HTTP_CONNECTIONS=str(CLIENTS)) as loaded:
        streams, probes = drive_all(
            plan(loaded, joining, asking=Asking(stream=True, pause_s=PAUSE_S)),
            plan(loaded, probing, asking=Asking(path="/readyz", method="GET")),
        )
    return [
        Figure(
            f"L6 /readyz beside {CLIENTS} slow streams, p99", probes.total.of().percentile_ms(99), "ms", at_most=100
        ),
        Figure("L6 /readyz not ready", probes.total.count() - probes.total.count(GOOD), "probes", at_most=0),
        Figure("L6 streams that came to their end", streams.total.count(GOOD), "streams", at_least=CLIENTS),
        Figure("L6 first token, p95", streams.first_token.percentile_ms(95), "ms"),
    ]
