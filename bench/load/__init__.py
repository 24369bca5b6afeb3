"""What the service does under load, relative to the capacity C that is measured first, in the same run.

One file per promise; each drives real processes on loopback with `opsctl.load` and returns its figures.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from figures import report

from load import cache, capacity, fairness, overload, rolling, soak, streams
from load.stack import MODEL_PLACES, MODEL_S, bounded, model, on_the_drivers_core, service, small_bundle

if TYPE_CHECKING:
    from figures import Figure, Report


def run(soak_minutes: float) -> Report:
    nginx = rolling.nginx()  # or skip before anything was measured
    figures: list[Figure] = []

    def note(measured: list[Figure]) -> None:
        figures.extend(measured)
        for figure in measured:  # the whole takes a while
            sys.stderr.write(f"  {figure.name}: {figure.value:.4g} {figure.unit}, goal {figure.goal or 'none'}\n")

    with ExitStack() as stack:
        stack.enter_context(on_the_drivers_core())
        bundle, quick = stack.enter_context(small_bundle()), stack.enter_context(model())
        with service(bundle, quick, **bounded()) as loaded:
            held, measured = capacity.measure(loaded)
            note(measured)
            note(overload.sustained(loaded, held))
            note(overload.burst(loaded, held))
            note(soak.soak(loaded, held, minutes=soak_minutes))
        note(cache.measure(bundle, quick, held))
        note(streams.measure(bundle))
        note(fairness.measure(bundle, quick))
        note(rolling.measure(nginx, bundle, quick, held))
    details = {"modelS": MODEL_S, "modelPlaces": MODEL_PLACES, "soakMinutes": soak_minutes}
    versions = ("aiohttp", "hdrhistogram", "fastapi", "uvicorn", "openai", "onnxruntime")
    return report("What does the service do under more load than usual?", figures, details=details, versions=versions)
