"""L1: the capacity C, the highest steady rate that is answered whole and in time. Everything else is relative to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from figures import Figure

from load.stack import MODEL_PLACES, MODEL_S, drive_all, plan
from opsctl.load.outcome import GOOD
from opsctl.load.schedule import steady

if TYPE_CHECKING:
    from load.stack import Service

STEPS, STEP_S = 10, 6.0
P95_MS = 400.0
LEAST_SHARE = 0.7
MODEL_PER_S = MODEL_PLACES / MODEL_S


def measure(loaded: Service) -> tuple[float, list[Figure]]:
    """C in requests per second, by steps up to what the model can do at most."""
    held = 0.0
    for step in range(1, STEPS + 1):
        # Evenly spaced: random arrivals meet a bound without a queue by chance, far below what the service can do.
        record = drive_all(plan(loaded, steady(MODEL_PER_S * step / STEPS, STEP_S, arrivals="even")))[0]
        if record.total.count(GOOD) == record.total.count() and record.total.of(GOOD).percentile_ms(95) < P95_MS:
            held = MODEL_PER_S * step / STEPS
    if not held:
        raise RuntimeError(
            f"not even {MODEL_PER_S / STEPS:g} requests per second are answered: the machine is too busy"
        )
    return held, [
        Figure(f"L1 capacity C: no error, p95 < {P95_MS:g} ms", held, "req/s"),
        Figure("L1 C / what the model can do", held / MODEL_PER_S, "x", at_least=LEAST_SHARE),
    ]
