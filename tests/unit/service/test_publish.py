from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from service.api import openapi
from service.jobs import publish
from service.settings import environment_names

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", publish.files())
def test_the_committed_file_is_what_the_code_says(name: str) -> None:
    expected = publish.files()[name]
    assert (PROJECT / name).read_text() == expected, "run: python -m service.jobs.publish"


def test_the_contract_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(openapi.document()).validate()


def test_the_lowered_contract_is_valid_openapi_3_0() -> None:
    OpenAPIV30SpecValidator(openapi.lowered(openapi.document())).validate()


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}, {"allOf": [{"$ref": "#/x"}], "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "default": None},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True},
        ),
        ({"const": 1, "type": "integer"}, {"enum": [1], "type": "integer"}),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
    ],
)
def test_what_3_0_can_not_say_is_said_its_way(node: dict[str, Any], expected: dict[str, Any]) -> None:
    assert openapi.lowered(node) == expected


def test_the_lowered_contract_keeps_every_limit() -> None:
    query = openapi.lowered(openapi.document())["components"]["schemas"]["RagRequest"]["properties"]["query"]
    assert (query["minLength"], query["maxLength"]) == (1, 4000)


def test_model_names_are_what_api_gateway_accepts() -> None:
    assert all(name.isalnum() for name in openapi.document()["components"]["schemas"])


def test_everything_but_the_health_paths_says_how_to_authenticate() -> None:
    document = openapi.document()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    asking = {path for path, verbs in document["paths"].items() for one in verbs.values() if "security" in one}
    assert set(document["paths"]) - asking == {"/livez", "/readyz", "/health"}


def test_every_error_is_a_problem_and_never_fastapis_own_shape() -> None:
    assert "HTTPValidationError" not in json.dumps(openapi.document())


def test_the_environment_example_names_only_what_is_read() -> None:
    text = (PROJECT / ".env.example").read_text()
    named = {
        line.lstrip("#").partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("# ")
    }
    assert named <= set(environment_names())
    values = dotenv_values(PROJECT / ".env.example")
    assert values["RAG_PORT"] == "8000"
    assert values["RAG_FALLBACK"] == "none"
