"""checkov over what the stack `prod` declares on Lambda, written as the engine would keep it; needs no cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra import offline
from tests.e2e import scan
from tests.infra.cloud_cases import program

WAIVERS = Path(__file__).parent / "lambda_waivers.yaml"
LINKED = {"aws:apigateway/methodSettings:MethodSettings": ("stageName", "aws:apigateway/stage:Stage")}


def state_of(declared: offline.Program) -> dict[str, Any]:
    """The program as a stack export; a property refers to what it depends on and holds the name of."""
    by_urn = {each.urn: each for each in declared.resources}

    def refers(each: offline.Declared) -> dict[str, list[str]]:
        needed = [by_urn[urn] for urn in each.depends_on if urn in by_urn]
        found = {
            key: [other.urn for other in needed if other.name in json.dumps(value, default=str)]
            for key, value in each.inputs.items()
        }
        key, kind = LINKED.get(each.type, ("", ""))
        return found | ({key: [declared.one(kind).urn]} if key else {})

    kept = [
        {
            "urn": each.urn,
            "type": each.type,
            "custom": each.custom,
            "inputs": each.inputs,
            "outputs": each.inputs,
            "propertyDependencies": {key: urns for key, urns in refers(each).items() if urns},
        }
        for each in declared.resources
    ]
    return {"version": 3, "deployment": {"resources": kept}}


def test_the_scan_finds_nothing_that_is_not_waived(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps(state_of(program("prod", topology="lambda")), default=str))
    found, accepted = scan.findings(state), scan.waivers(WAIVERS)
    assert scan.unwaived(found, accepted) == []
    assert scan.unused(found, accepted) == []
