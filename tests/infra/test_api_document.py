"""What API Gateway is given: every path of the published document and no other, validated early, streamed."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from infra.components.api_document import Backend, allowed_from, gateway_document, streaming_uri
from tests.infra.cloud_cases import ROOT

PUBLISHED = (ROOT / "docs" / "openapi-3.0.json").read_text()
ALIAS = "arn:aws:lambda:eu-north-1:111122223333:function:rag:live"
ANSWERING = ("/rag", "/search", "/v1/chat/completions")


def imported(*, preflight: bool = False, docs: bool = False, **more: Any) -> dict[str, Any]:
    backend = Backend(streaming_uri("eu-north-1", ALIAS), 125_000, preflight, docs)
    return dict(json.loads(gateway_document(PUBLISHED, backend, **more)))


def body_schema(document: dict[str, Any], path: str) -> dict[str, Any]:
    """The model of a path's body, with the models that it refers to, as draft 4 has it."""
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


def accepts(path: str, body: object) -> bool:
    document = imported()
    checker = jsonschema.Draft4Validator(
        {
            "allOf": [
                {"$ref": body_schema(document, path)["$ref"]},
            ],
            "components": document["components"],
        }
    )
    return bool(checker.is_valid(body))


def test_every_published_path_is_routed_and_the_metrics_are_not() -> None:
    assert imported()["paths"].keys() == json.loads(PUBLISHED)["paths"].keys()
    assert "metrics" not in json.dumps(imported())


def test_every_answer_is_streamed_from_the_alias() -> None:
    for path, methods in imported(preflight=True, docs=True)["paths"].items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            assert integration["responseTransferMode"] == "STREAM", (path, method)
            assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
            assert integration["uri"].endswith(f"/2021-11-15/functions/{ALIAS}/response-streaming-invocations")
            assert integration["timeoutInMillis"] == 125_000


@pytest.mark.parametrize("path", ANSWERING)
def test_a_body_is_validated_before_the_function_is_paid(path: str) -> None:
    document = imported()
    assert document["paths"][path]["post"]["x-amazon-apigateway-request-validator"] == "body"
    assert document["x-amazon-apigateway-request-validators"]["body"]["validateRequestBody"] is True


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rag", {"query": "What is a bundle?", "topK": None, "stream": None, "filters": {"author": None}}),
        ("/rag", {"query": "What is a bundle?", "topK": 3, "stream": True, "filters": {"author": "Ada"}}),
        ("/search", {"query": "x"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": None, "other": 0.2}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
    ],
)  # fmt: skip
def test_what_the_service_accepts_passes_the_gateway(path: str, body: object) -> None:
    assert accepts(path, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rag", {}),
        ("/rag", {"query": ""}),
        ("/rag", {"query": 3}),
        ("/rag", {"query": "x" * 4001}),
        ("/rag", []),
        ("/search", {"topK": 3}),
        ("/v1/chat/completions", {"messages": [{"role": "robot"}]}),
    ],
)
def test_what_is_plainly_wrong_is_stopped_there(path: str, body: object) -> None:
    assert not accepts(path, body)


def test_models_use_only_words_that_the_gateway_knows() -> None:
    legal = {"type", "required", "enum", "minLength", "maxLength", "minimum", "maximum", "pattern"}
    legal |= {"minItems", "maxItems", "properties", "items", "$ref"}

    def words(node: object) -> set[str]:
        if not isinstance(node, dict):
            return set()
        inner = list(node.get("properties", {}).values()) + [node[key] for key in ("items",) if key in node]
        return set(node).union(*(words(each) for each in inner))

    models = imported()["components"]["schemas"]
    assert set().union(*(words(model) for model in models.values())) <= legal
    assert all(name.isalnum() for name in models)


def test_the_gateway_asks_for_no_key_of_its_own() -> None:
    assert "security" not in json.dumps(imported())


def test_its_own_refusals_are_problem_documents_too() -> None:
    answers = imported()["x-amazon-apigateway-gateway-responses"]
    assert answers["BAD_REQUEST_BODY"]["statusCode"] == "422"
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    for name, answer in answers.items():
        problem = json.loads(answer["responseTemplates"]["application/json"])
        assert {"type", "title", "detail", "requestId"} <= problem.keys(), name
        assert answer["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    assert answers["THROTTLED"]["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"


def test_preflight_and_documentation_are_routed_only_where_they_are_served() -> None:
    assert not any("options" in methods for methods in imported()["paths"].values())
    assert all("options" in imported(preflight=True)["paths"][path] for path in ANSWERING)
    assert {"/docs", "/openapi.json"} <= imported(docs=True)["paths"].keys()
    assert "/docs" not in imported()["paths"]


def test_networks_that_may_call_are_a_resource_policy() -> None:
    policy = allowed_from(["192.0.2.0/24"])
    (allowed,) = imported(policy=policy)["x-amazon-apigateway-policy"]["Statement"]
    assert allowed["Condition"] == {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}}
    assert "x-amazon-apigateway-policy" not in imported()
