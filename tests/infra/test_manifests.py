"""Kubernetes objects as YAML: what a cluster takes, whole numbers, no secrets, no reference from one to another."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import manifests
from tests.infra.kube_cases import STORES, eks, workload

STATE = {
    "deployment": {
        "resources": [
            {"type": "pulumi:pulumi:Stack"},
            {
                "type": "kubernetes:core/v1:ConfigMap",
                "inputs": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}},
            },
            {
                "type": "kubernetes:helm.sh/v3:Release",
                "inputs": {"chart": "aws-load-balancer-controller", "values": {"clusterName": "c"}},
            },
            {
                "type": "kubernetes:core/v1:Secret",
                "inputs": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}},
            },
        ]
    }
}


def test_every_object_is_a_file_and_its_namespace_comes_first() -> None:
    declared = [(each.type, each.inputs) for each in workload(eks("prod", **STORES)).resources]
    files = manifests.rendered(declared, "Pulumi.prod.yaml")
    objects = [yaml.safe_load(text) for text in files.values()]
    kinds = [each["kind"] for each in objects]
    assert {"Deployment", "Ingress", "StatefulSet", "NetworkPolicy", "Namespace"} <= set(kinds)
    assert "Secret" not in kinds
    assert manifests.secrets(declared) == ["mongo-settings", "qdrant-settings", "redis-settings"]
    first = next(number for number, each in enumerate(objects) if "namespace" in each["metadata"])
    assert "Namespace" in kinds[:first]
    assert all(name.count("/") == 0 for name in files)
    assert not any("&id" in text or ".0\n" in text.replace("mongo:8.0\n", "") for text in files.values())
    assert "status" not in objects[0]
    assert all(list(each)[:3] == ["apiVersion", "kind", "metadata"] for each in objects)


def test_the_same_stack_is_the_same_text_whatever_order_the_engine_kept() -> None:
    def texts(*, turned: bool) -> dict[str, str]:
        found = [(each.type, each.inputs) for each in workload(eks("prod")).resources]
        return manifests.rendered([(kind, backwards(inputs) if turned else inputs) for kind, inputs in found], "x")

    assert texts(turned=True) == texts(turned=False)


def backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(each) for each in value] if isinstance(value, list) else value


def test_the_deployed_stacks_own_values_come_from_its_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, out = tmp_path / "state.json", tmp_path / "out"
    state.write_text(json.dumps(STATE))
    out.mkdir()
    (out / "10-old.yaml").write_text("kind: Old")
    assert manifests.main(["Pulumi.prod.yaml", str(out), "--state", str(state)]) == 0
    assert [each.name for each in out.iterdir()] == ["10-configmap-a.yaml"]
    assert capsys.readouterr().err == f"1 object in {out}; left out, make it yourself: Secret s\n"


@pytest.mark.parametrize("text", ["", "config: 1", "{", "config: {rag-platform:topology: eks, rag-platform:nope: 1}"])
def test_a_stack_file_that_is_none_is_told_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(text)
    assert manifests.main([str(file), str(tmp_path / "out")]) == 1
    assert "Traceback" not in (said := capsys.readouterr().err)
    assert said
    assert not (tmp_path / "out").exists()
