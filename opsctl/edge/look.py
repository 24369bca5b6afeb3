"""How an edge is: ready or not, which bundle it answers from, when it last heard of the cloud, who served."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from opsctl.errors import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsctl.edge.hosts import EdgeHost

ASK_S = 10.0
POLL_S = 0.5
TAKEOVER_S = 120.0


@dataclass(frozen=True, slots=True)
class Look:
    """One edge now.

    Attributes:
        problem: why it is not as it should be; None where it is.
        serving: labels of the bundle that answers are taken from.
        kept: what is on the host's disk, newest first, and how the last look at the bucket ended.
        served: answers by who gave them, since the service started.
        pushed: when its counts last reached the cloud, seconds since 1970.
    """

    name: str
    problem: str | None
    release: str | None = None
    serving: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    served: Mapping[str, int] = field(default_factory=dict)
    pushed: float | None = None

    @property
    def online(self) -> bool | None:
        """Whether its last look at the bucket was answered; None where there is no bucket."""
        state = (self.kept.get("sync") or {}).get("state")
        return None if state is None else state != "failed"


def look(edge: EdgeHost) -> Look:
    """Ask the service, its metrics, and the disk; what can't be had is a problem, not an end."""
    try:
        with edge.reached("port") as url:
            release, problem = _ready(url)
        with edge.reached("metricsPort") as url:
            serving, served, pushed = _metrics(url)
        kept = edge.job("edge_bundles", ["status", "--home", edge.home], {})
    except CheckFailed as exc:
        return Look(edge.name, str(exc))
    except httpx.HTTPError as exc:
        return Look(edge.name, f"it does not answer ({type(exc).__name__}); `pulumi up` repairs it")
    if problem is None and serving.get("id") != kept["current"]:
        problem = f"it answers from {serving.get('id')}, current is {kept['current']}; see its service.log"
    return Look(edge.name, problem, release, serving, kept, served, pushed)


def wait_serving(edge: EdgeHost, bundle: str) -> None:
    """Wait until the service has taken `bundle` over and is ready.

    Raises:
        CheckFailed: it has not within two minutes.
    """
    until = time.monotonic() + TAKEOVER_S
    while time.monotonic() < until:
        found = look(edge)
        if found.problem is None and found.serving.get("id") == bundle:
            return
        time.sleep(POLL_S)
    raise CheckFailed(
        f"edge {edge.name} has not taken over {bundle} within {TAKEOVER_S:g} s",
        next_step=f"see its service.log, and `opsctl edge rollback --host {edge.name}`",
    )


def _ready(url: str) -> tuple[str | None, str | None]:
    answer = httpx.get(f"{url}/readyz", timeout=ASK_S, trust_env=False)
    try:
        said = answer.json()
    except ValueError:
        said = {}
    release = said.get("release") if isinstance(said, dict) else None
    return release, None if answer.is_success else f"it is not ready ({answer.status_code})"


def _metrics(url: str) -> tuple[dict[str, str], dict[str, int], float | None]:
    text = httpx.get(f"{url}/metrics", timeout=ASK_S, trust_env=False).text
    samples = list(_samples(text))
    serving = next((labels for name, labels, _ in samples if name == "bundle_info"), {})
    served: dict[str, int] = {}
    for name, labels, value in samples:
        if name == "requests_total" and labels.get("route") in {"/rag", "/v1/chat/completions"}:
            served[labels["served_by"]] = served.get(labels["served_by"], 0) + int(value)
    pushed = next((value for name, _, value in samples if name == "metrics_pushed_timestamp_seconds"), None)
    return dict(serving), served, pushed


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
