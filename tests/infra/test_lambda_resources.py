"""Which resources the Lambda topology declares, in every config that changes the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra import offline
from infra.errors import ConfigErrors
from tests.infra.cloud_cases import config, hold_to_golden, merged, second_phase

if TYPE_CHECKING:
    from pathlib import Path

ON = {"topology": "lambda"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dev-first-phase": ("dev", {}),
    "dev": ("dev", second_phase()),
    "prod": ("prod", second_phase()),
    "prod-warm": ("prod", second_phase(**{"lambda": {"provisionedConcurrency": 2}}, scaling={"schedule": {}})),
    "prod-canary": ("prod", second_phase(**{"lambda": {"rollout": "canary"}})),
    "prod-private": ("prod", second_phase(retrieval={"qdrant": "self-hosted"}, cache={"redis": "elasticache"})),
    "prod-existing-log-role": ("prod", second_phase(**{"lambda": {"gatewayLogRole": "existing"}})),
}


def declared(stack: str, more: dict[str, Any]) -> offline.Program:
    return offline.declare(config(stack, merged(more, ON)))


def lines(program: offline.Program) -> str:
    return "".join(f"{each.type} {each.name}\n" for each in program.resources if each.custom)


@pytest.mark.parametrize("case", CASES)
def test_resources_are_the_golden_ones(case: str) -> None:
    hold_to_golden(f"lambda-{case}.txt", lines(declared(*CASES[case])))


def test_a_zip_is_kept_in_a_bucket_under_its_digest(tmp_path: Path) -> None:
    zipped = tmp_path / "lambda.zip"
    zipped.write_bytes(b"code")
    more = second_phase(**{"lambda": {"packaging": "zip", "artifact": str(zipped)}}, retrieval={"reranker": "none"})
    program = declared("prod", more)
    hold_to_golden("lambda-prod-zip.txt", lines(program))
    (kept,) = program.of("bucketObjectv2:BucketObjectv2")
    made = program.one("lambda/function:Function", "-function").inputs
    assert made["s3Key"] == kept.inputs["key"]
    assert program.outputs["release"]["image"] == f"zip@sha256:{kept.inputs['key'].removesuffix('.zip')}"
    assert made["environment"]["variables"]["RAG_RELEASE"] == program.outputs["release"]["image"]
    zipped.write_bytes(b"other code")
    assert declared("prod", more).one("lambda/function:Function", "-function").inputs["s3Key"] != made["s3Key"]


def test_a_zip_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(
        ConfigErrors,
        match=r"^lambda.artifact = nowhere.zip: there is no such file; .*opsctl image build --zip nowhere.zip",
    ):
        declared(
            "prod",
            second_phase(**{"lambda": {"packaging": "zip", "artifact": "nowhere.zip"}}, retrieval={"reranker": "none"}),
        )


def test_first_phase_is_the_second_without_function_and_api() -> None:
    first, second = (declared("dev", more) for more in ({}, second_phase()))
    added = {each.type.partition("/")[0] for each in second.resources} - {
        each.type.partition("/")[0] for each in first.resources
    }
    assert {kind for kind in added if kind.startswith("aws:")} == {"aws:apigateway", "aws:lambda"}
    assert first.outputs["release"] == {"image": None, "revision": None}
    assert (first.outputs["url"], first.outputs["cluster"]) == (None, None)
    assert first.outputs["registry"]
    assert set(first.outputs["secrets"]) == set(second.outputs["secrets"])


def test_there_is_no_network_unless_something_private_is_reached() -> None:
    assert not declared("prod", second_phase()).of("ec2/vpc:Vpc")
    assert declared("prod", second_phase(cache={"redis": "elasticache"})).one("ec2/vpc:Vpc")


def test_every_resource_hangs_below_the_topology_and_on_the_stacks_provider() -> None:
    roots = [each for each in declared("prod", second_phase()).resources if "::pulumi:pulumi:Stack::" in each.parent]
    assert {each.type for each in roots} <= {"rag-platform:topology:Serverless", "pulumi:providers:aws"}
