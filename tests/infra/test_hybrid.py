"""HybridTopology: what it registers and hands out, run as the whole program under mocks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pulumi
import pytest

from infra.config import Topology
from infra.topologies import TOPOLOGIES, load
from tests.infra.mocked_program import ROOT, Mocks, run, stack_file
from tests.infra.test_delivery import NAMES


def with_hybrid(**changes: Any) -> dict[str, Any]:
    config = stack_file("local")
    block = config["rag-platform:hybrid"]
    edge = {**block["edge"], **changes.pop("edge", {})}
    return {**config, "rag-platform:hybrid": {**block, **changes, "edge": edge}}


def also(**sections: Any) -> dict[str, Any]:
    return stack_file("local") | {f"rag-platform:{name}": value for name, value in sections.items()}


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


@pytest.mark.parametrize(
    ("deadline_s", "graceful", "stop_s"), [(120, "125", 140), (0.5, "5.5", 21), (3600, "3605", 3620)]
)
def test_a_request_in_flight_is_finished_before_the_service_is_killed(
    deadline_s: float, graceful: str, stop_s: int
) -> None:
    mocks, _ = run(with_hybrid(edge={"deadlineSeconds": deadline_s}))
    _, service = mocks.registered["rag-platform-local-service"].inputs["programs"]
    assert service["environment"]["RAG_GRACEFUL_S"] == graceful
    assert service["stopWaitS"] == stop_s


@pytest.mark.parametrize("source", [None, "my-documents"])
def test_the_delivery_says_which_documents_were_indexed(source: str | None) -> None:
    _, outputs = run(with_hybrid(edge={"source": source}))
    assert outputs["jobs"]["source"] == source


def test_no_input_holds_a_path_of_this_machine() -> None:
    mocks, _ = run(stack_file("local"))
    assert str(ROOT) not in str([args.inputs for args in mocks.registered.values()])


@pytest.mark.parametrize(
    ("bind", "url"),
    [("127.0.0.1", "http://127.0.0.1:8080"), ("127.0.0.5", "http://127.0.0.5:8080"), ("::1", "http://[::1]:8080")],
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


def test_each_host_gets_an_install_and_a_service_that_waits_for_the_host_before() -> None:
    mocks, _ = run(with_hybrid(edge={"hosts": ["local", "ssh://pi@one", "two:2222"]}))
    names = {name.removeprefix("rag-platform-local-") for name in mocks.registered}
    assert {"bundle", "service", "pi-one-install", "pi-one-service", "two-2222-install", "two-2222-service"} < names
    install = mocks.registered["rag-platform-local-pi-one-install"].inputs
    assert (install["host"], install["home"]) == ("ssh://pi@one", ".rag-platform/local")
    assert install["bundlePath"] == "rag-platform-local-bundle-path"
    service = mocks.registered["rag-platform-local-two-2222-service"].inputs
    assert (service["host"], service["metricsUrl"]) == ("two:2222", "http://127.0.0.1:9090/metrics")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (with_hybrid(edge={"bind": "0.0.0.0"}), "hybrid.edge.bind = 0.0.0.0", "127.0.0.1, ::1"),  # noqa: S104
    (with_hybrid(edge={"bind": "10.0.0.5"}), "hybrid.edge.bind = 10.0.0.5", "127.0.0.1, ::1"),
    (with_hybrid(edge={"bind": "::"}), "hybrid.edge.bind = ::", "127.0.0.1, ::1"),
    (with_hybrid(edge={"bind": "::1%lo"}), "hybrid.edge.bind = ::1%lo", "127.0.0.1, ::1"),
    (also(generation={"provider": "openai"}), "generation.provider = openai", "llamacpp"),
    (also(generation={"provider": "sagemaker"}), "generation.provider = sagemaker", "llamacpp"),
    (also(generation={"provider": "none"}), "generation.provider = none", "llamacpp"),
    (also(queryModel={"provider": "openai"}), "queryModel.provider = openai", "none"),
    (also(cache={"redis": "elasticache"}), "cache.redis = elasticache", "none"),
    (also(cache={"redis": "self-hosted"}), "cache.redis = self-hosted", "none"),
]


@pytest.mark.parametrize(("config", "said", "legal"), REFUSED, ids=[said for _, said, _ in REFUSED])
def test_what_cannot_be_built_yet_is_refused_in_one_line_not_left_out(
    config: dict[str, Any], said: str, legal: str
) -> None:
    with pytest.raises(pulumi.RunError) as failure:
        run(config)
    (line,) = str(failure.value).splitlines()
    assert line.startswith(f"{said}: ")
    assert f"; legal: {legal}; `pulumi config " in line


def test_an_edge_that_answers_this_machine_alone_is_closed_enough_for_any_network() -> None:
    _, outputs = run(also(access={"publicIngress": False, "allowedCidrs": ["10.0.0.0/8"]}))
    assert outputs["url"] == "http://127.0.0.1:8080"


def test_nothing_is_registered_where_something_is_refused() -> None:
    mocks = Mocks()
    with pytest.raises(pulumi.RunError):
        run(also(cache={"redis": "elasticache"}), mocks=mocks)
    assert mocks.registered == {}


def test_the_defaults_of_the_cloud_are_not_refused_and_the_edge_has_no_cache() -> None:
    mocks, _ = run({"rag-platform:topology": "hybrid", "rag-platform:hybrid": {"fallback": {"kind": "none"}}})
    _, service = mocks.registered["rag-platform-local-service"].inputs["programs"]
    assert service["environment"]["RAG_CACHE"] == "none"
    assert service["environment"]["RAG_GENERATOR"] == "llamacpp"


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
