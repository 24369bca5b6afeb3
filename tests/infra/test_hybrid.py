"""HybridTopology: what it registers and hands out, run as the whole program under mocks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pulumi
import pytest

from infra.config import Topology
from infra.topologies import TOPOLOGIES, load
from tests.infra.mocked_program import ROOT, run, stack_file
from tests.infra.test_delivery import NAMES


def with_hybrid(**changes: Any) -> dict[str, Any]:
    config = stack_file("local")
    block = config["rag-platform:hybrid"]
    edge = {**block["edge"], **changes.pop("edge", {})}
    return {**config, "rag-platform:hybrid": {**block, **changes, "edge": edge}}


def test_the_program_exports_every_name_of_the_delivery() -> None:
    _, outputs = run(stack_file("local"))
    assert sorted(outputs) == NAMES
    assert outputs["url"] == "http://127.0.0.1:8080"
    assert outputs["healthUrl"] == "http://127.0.0.1:8080/health"
    assert outputs["topology"] == "hybrid"
    assert outputs["region"] is None


def test_one_component_with_a_bundle_and_a_service() -> None:
    mocks, _ = run(stack_file("local"))
    assert {name: args.typ for name, args in mocks.registered.items()} == {
        "rag-platform-local": "rag-platform:topology:Hybrid",
        "rag-platform-local-bundle": "pulumi-python:dynamic/edge:EdgeBundle",
        "rag-platform-local-service": "pulumi-python:dynamic/edge:EdgeService",
    }


def test_the_service_answers_from_the_bundle_and_from_llama_on_loopback() -> None:
    mocks, _ = run(with_hybrid(edge={"llmPort": 9999}))
    llama, service = mocks.registered["rag-platform-local-service"].inputs["programs"]
    assert service["environment"]["RAG_BUNDLE_DIR"] == "rag-platform-local-bundle-path"
    assert service["environment"]["RAG_LLAMACPP_URL"] == "http://127.0.0.1:9999"
    assert llama["args"][-8:] == ["--host", "127.0.0.1", "--port", "9999", "--context", "2048", "--threads", "2"]
    assert service["stopWaitS"] >= 45


def test_no_input_holds_a_path_of_this_machine() -> None:
    mocks, _ = run(stack_file("local"))
    assert str(ROOT) not in str([args.inputs for args in mocks.registered.values()])


@pytest.mark.parametrize(
    ("bind", "url"),
    [("0.0.0.0", "http://127.0.0.1:8080"), ("10.0.0.5", "http://10.0.0.5:8080"), ("::1", "http://[::1]:8080")],  # noqa: S104
)
def test_the_address_is_one_that_can_be_opened(bind: str, url: str) -> None:
    _, outputs = run(with_hybrid(edge={"bind": bind}))
    assert outputs["url"] == url


def test_every_mistake_is_one_line_without_a_traceback() -> None:
    config = with_hybrid(edge={"prot": 8080, "llmPort": 99999})
    with pytest.raises(pulumi.RunError) as failure:
        run(config)
    lines = str(failure.value).splitlines()
    assert len(lines) == 2
    assert any("hybrid.edge.prot" in line for line in lines)
    assert any("hybrid.edge.llmPort" in line and "99999" in line for line in lines)


def test_what_cannot_be_built_yet_is_refused_not_left_out() -> None:
    with pytest.raises(pulumi.RunError, match=r"hybrid\.edge\.hosts.*only the host `local`"):
        run(with_hybrid(edge={"hosts": ["ssh://edge@device"]}))


def test_every_registered_topology_is_a_word_of_the_config_and_loads() -> None:
    assert set(TOPOLOGIES) <= set(get_args(Topology))
    assert all(callable(load(name)) for name in TOPOLOGIES)


def test_the_edge_imports_no_cloud_sdk() -> None:
    code = (
        "import sys, infra.topologies; infra.topologies.load('hybrid');"
        "print([name for name in sys.modules if 'aws' in name or 'boto' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
