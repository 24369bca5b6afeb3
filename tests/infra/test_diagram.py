"""The drawn topology is the declared one."""

import pytest

from infra import diagram
from tests.infra.cloud_cases import ROOT

DOCUMENT = (ROOT / "docs" / "topologies.md").read_text()


@pytest.fixture(scope="module")
def drawn() -> str:
    return diagram.draw(ROOT / "Pulumi.prod.yaml")


def test_the_diagram_in_the_document_is_what_the_program_declares(drawn: str) -> None:
    assert diagram.placed(DOCUMENT, "ecs", drawn) == DOCUMENT, "run `make diagram`"


def test_the_function_stands_behind_the_api() -> None:
    drawn = diagram.draw(ROOT / "Pulumi.prod.yaml", "lambda")
    assert diagram.placed(DOCUMENT, "lambda", drawn) == DOCUMENT, "run `make diagram`"
    lines = drawn.splitlines()
    arrows = {tuple(part.strip().rpartition("_")[0] for part in line.split("-->")) for line in lines if "-->" in line}
    assert {("RestApi", "Function"), ("Waf", "RestApi"), ("RestApi", "PublicName")} <= arrows


def test_the_workload_stands_behind_the_cluster_and_its_controllers() -> None:
    drawn = diagram.draw(ROOT / "Pulumi.prod.yaml", "eks")
    assert diagram.placed(DOCUMENT, "eks", drawn) == DOCUMENT, "run `make diagram`"
    lines = drawn.splitlines()
    arrows = {tuple(part.strip().rpartition("_")[0] for part in line.split("-->")) for line in lines if "-->" in line}
    assert {("Workload", "EksControllers"), ("EksNodes", "Network"), ("EksAddons", "EksNodes")} <= arrows


def test_the_service_stands_behind_the_load_balancer(drawn: str) -> None:
    lines = drawn.splitlines()
    arrows = {tuple(part.strip().rpartition("_")[0] for part in line.split("-->")) for line in lines if "-->" in line}
    assert {("EcsService", "LoadBalancer"), ("EcsService", "TaskRoles"), ("LoadBalancer", "PublicName")} <= arrows


def test_a_document_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="<!-- diagram: abacus -->"):
        diagram.placed(DOCUMENT, "abacus", "")
