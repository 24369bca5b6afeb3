"""What the keys of the Lambda topology, and those that mean something else there, do to the declared resources."""

from __future__ import annotations

import json
from typing import Any

from infra.config import StackConfig
from tests.infra import test_ecs_keys as ecs
from tests.infra.cloud_cases import hold_to_golden, merged, second_phase, stack_file
from tests.infra.config_keys import keys

ZIPPED = {"lambda": {"packaging": "zip", "artifact": "README.md"}, "retrieval": {"reranker": "none"}}
WARM = {"lambda": {"provisionedConcurrency": 2}}
ASLEEP = {**WARM, "scaling": {"schedule": {}}}
# key -> another legal value
OWN: dict[str, Any] = {
    "lambda.memoryMiB": 4096,
    "lambda.timeoutSeconds": 60,
    "lambda.ephemeralMiB": 1024,
    "lambda.provisionedConcurrency": 3,
    "lambda.reservedConcurrency": 10,
    "lambda.packaging": ZIPPED,
    "lambda.artifact": {"lambda": {"artifact": "LICENSE"}},
    "lambda.rollout": "linear",
    "lambda.throttle.requestsPerSecond": 5,
    "lambda.throttle.burst": 10,
    "lambda.gatewayLogRole": "existing",
}
SHARED = (
    "service.image",
    "service.cpu",
    "service.architecture",
    "service.replicas.max",
    "service.deadlineSeconds",
    "scaling.cpuPercent",
    "scaling.schedule.min",
    "domain.name",
    "access.requestsPerMinute",
    "access.corsOrigins",
    "access.waf",
    "access.docs",
    "access.publicIngress",
    "retrieval.qdrant",
    "network.zones",
    "monitoring.p95Seconds",
    "monitoring.logRetentionDays",
    "tags",
)
BASES = {"scaling.schedule.": ASLEEP, "lambda.artifact": ZIPPED}
# keys that change nothing here, and why
ELSEWHERE = {
    "service.cpu": "CPU comes with lambda.memoryMiB",
    "service.replicas.max": "Lambda has lambda.reservedConcurrency",
    "scaling.cpuPercent": "Lambda scales by itself",
    "network.zones": "there is no network without a private store",
}


def example(path: str) -> dict[str, Any]:
    value = OWN.get(path, ecs.EXAMPLES.get(path))
    if not isinstance(value, dict):
        for key in reversed(path.split(".")):
            value = {key: value}
    return dict(value)


def effect(path: str) -> str:
    more = next((base for start, base in BASES.items() if path.startswith(start)), {})
    start = merged(merged(merged(stack_file("prod"), second_phase()), {"topology": "lambda"}), more)
    old, new = ecs.declared(start), ecs.declared(merged(start, example(path)))
    signs = {
        **dict.fromkeys(new.keys() - old.keys(), "+"),
        **dict.fromkeys(old.keys() - new.keys(), "-"),
        **{key: "~" for key in old.keys() & new.keys() if old[key] != new[key]},
    }
    if len(signs) > 40:
        return "everything"
    return ", ".join(f"{sign}{kind} {name}" for (kind, name), sign in sorted(signs.items())) or "nothing"


def test_every_key_of_the_topology_has_an_example() -> None:
    assert OWN.keys() == {path for path in keys(StackConfig) if path.startswith("lambda.")}


def test_a_changed_key_changes_what_the_golden_file_says() -> None:
    effects = {path: effect(path) for path in (*OWN, *SHARED)}
    assert {path for path, found in effects.items() if found == "nothing"} == set(ELSEWHERE)
    hold_to_golden("lambda-key-effects.txt", "".join(f"{path}: {found}\n" for path, found in effects.items()))
    assert "planted" not in json.dumps(effects)
