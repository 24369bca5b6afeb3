"""Stack configs of the cloud topologies that the tests build, and the golden files that they are held to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from infra import offline
from infra.config import StackConfig, parse

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
DIGEST = "111122223333.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:" + "0" * 64
# what watches a workload, and is not there before it
WATCHING = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:lambda/function:Function",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:lambda/permission:Permission",
    "rag-platform:component:CostRate",
    "rag-platform:component:Healing",
    "rag-platform:component:OwnFunction",
}
VENDORS = ("openaiApiKey", "qdrantApiKey", "mongoUrl")


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`more` over `base`, section by section."""
    both = dict(base)
    for key, value in more.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def stack_file(stack: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("rag-platform:"): value for key, value in config.items()}


def second_phase(**more: Any) -> dict[str, Any]:
    """What a user adds after the first `up`: the image, the cluster's address, the vendors' secrets."""
    base = {
        "service": {"image": DIGEST},
        "retrieval": {"url": "https://vectors.example.com:6333"},
        "secrets": {name: {"secure": f"planted-{name}"} for name in VENDORS},
    }
    return merged(base, more)


def config(stack: str, more: dict[str, Any] | None = None) -> StackConfig:
    return parse(merged(stack_file(stack), more or {}), stack=stack)


def program(stack: str, **more: Any) -> offline.Program:
    """What the stack file with the second phase and `more` on top would declare."""
    return offline.declare(config(stack, second_phase(**more)))


def hold_to_golden(name: str, text: str) -> None:
    """Compare with the golden file; `UPDATE_GOLDEN=1 pytest` rewrites it."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert file.exists(), f"{file} is missing: run `UPDATE_GOLDEN=1 pytest` and read the diff"
    assert text == file.read_text(), f"{file} differs: if that is meant, run `UPDATE_GOLDEN=1 pytest` and read the diff"
