"""The drawn topology is the declared one."""

from infra import diagram
from tests.infra.cloud_cases import ROOT


def test_the_diagram_in_docs_is_what_the_program_declares() -> None:
    drawn = diagram.draw(ROOT / "Pulumi.prod.yaml")
    assert drawn == (ROOT / "docs" / "diagrams" / "ecs.mmd").read_text(), "run `make diagram`"


def test_the_service_stands_behind_the_load_balancer() -> None:
    lines = diagram.draw(ROOT / "Pulumi.prod.yaml").splitlines()
    arrows = {tuple(part.strip().rpartition("_")[0] for part in line.split("-->")) for line in lines if "-->" in line}
    assert {("EcsService", "LoadBalancer"), ("EcsService", "TaskRoles"), ("LoadBalancer", "PublicName")} <= arrows
