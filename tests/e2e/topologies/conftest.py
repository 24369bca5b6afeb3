"""The same stack file in every topology: what a user writes down once, then `topology` alone is another word.

A module here says `TOPOLOGY` and asks for `stack`: a fresh one, from the stack file `dev` with the second phase of the
bootstrap. `test_9_same_file.py` holds what was brought up against each other. On ECS and on EKS the stack `dev` has a
folder of its own, `ecs_dev` and `eks_dev`, that goes further; here they come up and go down again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.census import census
from tests.e2e.kube import Cluster
from tests.e2e.stack import NOT_SERVED, Stack, lay
from tests.infra.cloud_cases import DIGEST, VENDORS
from tests.local_engine import free_ports

REGION = "eu-north-1"
# Updates of several resources that replace none: where an `up` is interrupted in their midst, nothing is lost.
QUIET_EDITS = {
    "monitoring.errorRatePercent": 4,
    "monitoring.p95Seconds": 8,
    "monitoring.sloAvailabilityPercent": 99,
    "budget.monthlyUsd": 400,
}
# What the stack file `dev` gets here, whatever the topology; blocks of the others stay, and are ignored.
SAME = {
    "service.image": DIGEST,
    "retrieval.url": "https://vectors.example.com:6333",
    "eks.controller": "existing",  # a chart can't be installed here: the cluster's platform team runs it
}
# The emulated EKS names a security group of the cluster that its EC2 does not have (AuthorizeSecurityGroupIngress).
EXCLUDED = (*NOT_SERVED, "**SecurityGroupIngressRule::*-pods-*")


@dataclass
class Files:
    """The config of each stack as it was first brought up, by topology, without that key."""

    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, stack: Stack) -> None:
        config = {key: value for key, value in stack.config().items() if not key.startswith("rag-platform:secrets")}
        self.seen[str(config.pop("rag-platform:topology"))] = config


@pytest.fixture(scope="session")
def files() -> Files:
    return Files()


@pytest.fixture(scope="module")
def before() -> set[tuple[str, str]]:
    """What is there before the module's stack is."""
    return census(REGION)


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an edge of the stack file answers from."""
    return tmp_path_factory.mktemp("documents")


@pytest.fixture(scope="session")
def same(documents: Path) -> dict[str, Any]:
    """What every stack file gets: `SAME`, and for the edge ports that are free here and few words to decode."""
    ports = zip(("port", "llmPort", "metricsPort"), free_ports(), strict=True)
    edge = {"source": str(documents), **dict(ports)}
    return {**SAME, **{f"hybrid.edge.{key}": value for key, value in edge.items()}, "generation.maxOutputTokens": 16}


def fresh(made: Stack, topology: str, same: dict[str, Any], files: Files) -> Stack:
    """A stack from the stack file `dev` with `same` and another topology; noted for `test_9_same_file.py`."""
    made.create("dev")
    for name in VENDORS:
        made.set(f"secrets.{name}", f"planted-{name}", secret=True)
    edit(made, same)
    made.run("config", "set", "topology", topology)
    files.note(made)
    return made


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    files: Files,
    same: dict[str, Any],
    before: object,
) -> Iterator[Stack]:
    """A fresh stack of the module's topology; what a failed test leaves of it is destroyed."""
    topology = request.module.TOPOLOGY
    made = Stack(f"dev-{topology}", tmp_path_factory.mktemp(topology), excluded=EXCLUDED)
    yield fresh(made, topology, same, files)
    if made.resources():
        made.run("destroy", "--yes", "--skip-preview", check=False)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster's API, read as its operators do."""
    if "KUBECONFIG" not in os.environ:
        reason = "no cluster: run `make e2e-topologies` (a control plane on loopback), or set KUBECONFIG"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    made = Cluster(tmp_path_factory.mktemp("kubeconfig"))
    yield made
    made.close()


def edit(stack: Stack, values: dict[str, Any]) -> None:
    """Edits the stack file as a user does with an editor."""
    document = yaml.safe_load(stack.file.read_text())
    for path, value in values.items():
        lay(document["config"], f"rag-platform:{path}".split("."), value)
    stack.file.write_text(yaml.safe_dump(document))
