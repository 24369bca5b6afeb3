"""Runs the Pulumi program itself in process, under mocks: what it registers and what it exports."""

from __future__ import annotations

import json
import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import stack as engine
from pulumi.runtime.sync_await import _sync_await

ROOT = Path(__file__).parents[2]


@dataclass
class Mocks(pulumi.runtime.Mocks):
    """Registered resources by name; outputs are the inputs."""

    registered: dict[str, pulumi.runtime.MockResourceArgs] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.registered[args.name] = args
        return f"{args.name}-id", {**args.inputs, "path": f"{args.name}-path"}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"unexpected call of {args.token}")


def stack_file(stack: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"])


def run(config: dict[str, Any], *, stack: str = "local", mocks: Mocks | None = None) -> tuple[Mocks, dict[str, Any]]:
    """The program's resources and its stack outputs."""
    mocks = mocks or Mocks()
    pulumi.runtime.set_mocks(mocks, project="rag-platform", stack=stack, preview=False)
    handed = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(handed, [])

    def program() -> None:
        runpy.run_path(str(ROOT / "infra" / "__main__.py"), run_name="__main__")

    _sync_await(engine.run_pulumi_func(program))
    root = pulumi.runtime.get_root_resource()
    return mocks, dict(root.outputs)  # type: ignore[attr-defined]
