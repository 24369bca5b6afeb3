"""Every key of the stack config on the real engine: what setting it alone would change, printed as a table.

    make e2e-full

Keys and values are those of tests/infra/test_ecs_keys.py, whose golden file says what the program declares for each
under mocks. Ends with 1 where the engine would leave out a declared change. Nothing is destroyed in the end: the cloud
on loopback ends with the command.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console

from opsctl.output import write_table
from tests.e2e.stack import Plan, Stack
from tests.infra.cloud_cases import DIGEST, GOLDEN, VENDORS, merged
from tests.infra.test_ecs_keys import EXAMPLES, example, needed

REGION = "eu-north-1"
AT_ONCE = 3  # a preview mostly waits
NAME = "prod-keys"
SHOWN = 3
# the count of tasks is declared once and then belongs to autoscaling: the engine passes its changes over
PASSED_OVER = {
    "service.replicas.min": frozenset({"~Service service"}),
    # this stack's dashboard shows no canary that could go
    "access.publicIngress": frozenset({"~Dashboard dashboard"}),
    "access.allowedCidrs": frozenset({"~Dashboard dashboard"}),
}
# the cloud at hand has neither anomaly monitors nor layers of another account, which the canary's function has
UNSERVED = ("AnomalyMonitor ", "AnomalySubscription ", "MetricAlarm unavailable")
REPLACES = {"replace", "create-replacement", "delete-replaced"}


@dataclass(frozen=True)
class Effect:
    """What one key does: on the engine, and as declared under mocks.

    Attributes:
        steps: sign, kind and name of each changed resource; `~` is an update or a replacement.
        replaced: those that the engine would replace.
        declared: of the golden file; None where it says `everything`.
        refused: why the engine would not do it; its plan ends there.
    """

    key: str
    operations: Counter[str]
    steps: frozenset[str]
    replaced: frozenset[str]
    declared: frozenset[str] | None
    refused: str

    @property
    def missing(self) -> frozenset[str]:
        if self.declared is None or self.refused:
            return frozenset()
        return self.declared - self.steps - PASSED_OVER.get(self.key, frozenset())

    @property
    def more(self) -> frozenset[str]:
        """What comes along with a key that needs others is theirs."""
        return frozenset() if self.declared is None or needed(self.key) else self.steps - self.declared


def declared() -> dict[str, frozenset[str] | None]:
    """Key -> signed resources, but for providers (`aws NAME`), which no plan has, and what this stack is without."""
    lines = (line.split(": ", 1) for line in (GOLDEN / "ecs-key-effects.txt").read_text().splitlines())
    return {
        key: None
        if what == "everything"
        else frozenset(each for each in what.split(", ") if each != "nothing" and not _unseen(each[1:]))
        for key, what in lines
    }


def _unseen(resource: str) -> bool:
    """Providers, and what this stack is without."""
    return resource.startswith(("aws ", *UNSERVED)) or resource.partition(" ")[2].startswith("canary")


def effect(key: str, plan: Plan, golden: frozenset[str] | None) -> Effect:
    by_resource: dict[str, set[str]] = {}
    for op, kind, name in plan.steps:
        resource = f"{kind.rpartition(':')[2]} {_short(name)}"
        if not kind.startswith("rag-platform:") and not _unseen(resource):
            by_resource.setdefault(resource, set()).add(op)
    kinds = {resource: "replace" if ops & REPLACES else min(ops) for resource, ops in by_resource.items()}
    signs = {"create": "+", "delete": "-"}
    signed = frozenset(f"{signs.get(op, '~')}{resource}" for resource, op in kinds.items())
    if needed(key):  # it isn't up: the engine makes what the golden list, beside it, calls changed
        signed, golden = _unsigned(signed), _unsigned(golden) if golden else golden
    return Effect(
        key,
        Counter(kinds.values()),
        signed,
        frozenset(resource for resource, op in kinds.items() if op == "replace"),
        golden,
        f"protects {', '.join(map(_short, plan.protected))}" if plan.protected else "; ".join(plan.errors),
    )


def _short(name: str) -> str:
    return name.removeprefix(f"rag-platform-{NAME}-")


def _unsigned(changes: frozenset[str]) -> frozenset[str]:
    return frozenset(change[1:] for change in changes)


def values(key: str) -> dict[str, Any]:
    """What a user sets for the example of `key`, and for the keys that it needs: path -> value."""
    return dict(_paths(merged(needed(key), example(key))))


def _paths(part: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        if isinstance(value, dict) and "secure" not in value:
            yield from _paths(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value["secure"] if isinstance(value, dict) else value


def brought_up(folder: Path) -> Stack:
    """The stack `prod` with everything that its keys can change."""
    route53: Any = boto3.client("route53", region_name=REGION)
    for zone in ("example.com", "example.org"):
        route53.create_hosted_zone(Name=zone, CallerReference=zone)
    stack = Stack(NAME, folder)
    stack.create("prod")
    stack.set("monitoring.canaryMinutes", 0)
    for name in VENDORS:
        stack.set(f"secrets.{name}", f"planted-{name}", secret=True)
    stack.set("retrieval.url", "https://vectors.example.com:6333")
    stack.set("scaling.schedule.timezone", "UTC")
    stack.set("service.image", DIGEST)
    stack.up()
    return stack


def row(each: Effect) -> tuple[str, ...]:
    operations = ", ".join(f"{count} {op}" for op, count in sorted(each.operations.items())) or "nothing"
    compared = "everything" if each.declared is None else "as declared"
    if each.refused:
        compared = f"refused: {' '.join(each.refused.split())}"
    elif each.missing or each.more:
        compared = "; ".join(
            f"{len(them)} {word}: {_some(them)}"
            for word, them in (("missing", each.missing), ("more", each.more))
            if them
        )
    return each.key, operations, ", ".join(sorted(each.replaced)) or "-", compared


def _some(them: frozenset[str]) -> str:
    return ", ".join(sorted(them)[:SHOWN]) + (" ..." if len(them) > SHOWN else "")


def main() -> int:
    golden = declared()
    console = Console(width=200, highlight=False, markup=False)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        stack = brought_up(Path(folder))

        def tried(key: str) -> Effect:
            found = effect(key, stack.what_if(values(key), check=False), golden[key])
            console.print(f"{key}: {', '.join(row(found)[1:])}", style="dim")
            return found

        effects = list(pool.map(tried, EXAMPLES))
    console.print()
    write_table(console, ("key", "operations", "replaced", "against the golden list"), [row(each) for each in effects])
    wrong = [each.key for each in effects if each.missing or (each.refused and not each.refused.startswith("protects"))]
    console.print(f"\n{len(effects)} keys on the engine; refused, or a declared change is missing: {wrong or 'none'}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
