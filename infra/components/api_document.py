"""The service's OpenAPI document as API Gateway takes it. Pure: the published document in, an import document out.

The gateway refuses early and never more than the service does: its models know a part of JSON Schema only, so what they
can't say is left to the service. Authentication stays there too; the header passes through.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VALIDATOR = "body"
# What models understand (AWS: "important notes", REST APIs); `nullable`, `anyOf` and the like are not among it.
KEYWORDS = frozenset(
    {"type", "required", "enum", "minLength", "maxLength", "minimum", "maximum", "pattern", "minItems", "maxItems"}
)
UNSAYABLE = frozenset({"nullable", "anyOf", "oneOf", "allOf", "exclusiveMinimum", "exclusiveMaximum"})
PROBLEM_JSON = "'application/problem+json'"
RETRY_S = 1
# AWS's name of a refusal -> status, title, detail, whether trying again helps; the rest are DEFAULT_4XX and 5XX.
REFUSALS: Mapping[str, tuple[int, str, str, bool]] = {
    "BAD_REQUEST_BODY": (422, "Invalid request", "the body doesn't fit the schema of this path", False),
    "MISSING_AUTHENTICATION_TOKEN": (404, "Not found", "there is no such path, or not with this method", False),
    "REQUEST_TOO_LARGE": (413, "Request body too large", "the body is larger than a gateway takes", False),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported media type", "the body must be application/json", False),
    "THROTTLED": (429, "Too many requests", "more requests than this deployment takes at once", True),
    "WAF_FILTERED": (403, "Forbidden", "the web application firewall refused the request", False),
    "INTEGRATION_FAILURE": (503, "Unavailable", "the service gave no answer", True),
    "INTEGRATION_TIMEOUT": (504, "Timed out", "the service took too long", True),
}
STATIC_PAGES = ("/docs", "/openapi.json", "/static-offline-docs/{asset+}")


@dataclass(frozen=True)
class Backend:
    """What is behind the gateway.

    Attributes:
        uri: of the streaming invocation of the function's alias.
        timeout_ms: how long an answer may take.
        preflight: whether web pages of other origins may ask, so that OPTIONS must be routed.
        docs: whether the service serves /docs.
    """

    uri: str
    timeout_ms: int
    preflight: bool
    docs: bool


def streaming_uri(region: str, function_arn: str) -> str:
    """Where API Gateway streams a function's answer from (AWS: response-transfer-mode; buffered ones have another)."""
    return f"arn:aws:apigateway:{region}:lambda:path/2021-11-15/functions/{function_arn}/response-streaming-invocations"


def gateway_document(published: str, backend: Backend, policy: Mapping[str, Any] | None = None) -> str:
    """The import document.

    Args:
        published: docs/openapi-3.0.json.
        backend: what answers.
        policy: the API's resource policy: who may call by address.
    """
    document = json.loads(published)
    paths = {path: _methods(methods, backend) for path, methods in document["paths"].items()}
    if backend.docs:
        paths |= {page: {"get": _passed_on(backend, page)} for page in STATIC_PAGES}
    models = _models(document, paths)
    whole = {
        "openapi": "3.0.1",
        "info": document["info"],
        "paths": paths,
        "components": {"schemas": models},
        "x-amazon-apigateway-request-validators": {
            VALIDATOR: {"validateRequestBody": True, "validateRequestParameters": False}
        },
        "x-amazon-apigateway-gateway-responses": _gateway_responses(),
    } | ({"x-amazon-apigateway-policy": dict(policy)} if policy else {})
    return json.dumps(whole, sort_keys=True)


def allowed_from(cidrs: Sequence[str]) -> dict[str, Any]:
    """A resource policy: these networks may call, nobody else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "execute-api:Invoke",
                "Resource": "execute-api:/*",
                "Condition": {"IpAddress": {"aws:SourceIp": list(cidrs)}},
            }
        ],
    }


def _methods(published: Mapping[str, Any], backend: Backend) -> dict[str, Any]:
    methods = {method: _method(operation, backend) for method, operation in published.items()}
    if "get" in methods:
        methods["head"] = _passed_on(backend)
    if backend.preflight:
        methods["options"] = _passed_on(backend)
    return methods


def _method(operation: Mapping[str, Any], backend: Backend) -> dict[str, Any]:
    # no `security`: a scheme `apiKey` would make the gateway ask for keys of its own usage plans
    passed = _passed_on(backend)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is None:
        return passed
    return passed | {
        "requestBody": {"required": True, "content": {"application/json": {"schema": _model(body["schema"])}}},
        "x-amazon-apigateway-request-validator": VALIDATOR,
    }


def _passed_on(backend: Backend, path: str = "") -> dict[str, Any]:
    asset = [{"name": "asset", "in": "path", "required": True, "schema": {"type": "string"}}]
    return {
        "responses": {"default": {"description": "What the service answers."}},
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "uri": backend.uri,
            "responseTransferMode": "STREAM",
            "timeoutInMillis": backend.timeout_ms,
            "passthroughBehavior": "when_no_match",
        },
    } | ({"parameters": asset} if "{asset+}" in path else {})


def _models(document: Mapping[str, Any], paths: Mapping[str, Any]) -> dict[str, Any]:
    """The models that the paths use, and those that these use."""
    published, found = document["components"]["schemas"], dict[str, Any]()
    wanted = _referred(paths)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _model(published[name])
            wanted |= _referred(found[name])
    return found


def _referred(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {str(node["$ref"]).rpartition("/")[2]} if "$ref" in node else set()
        return own.union(*(_referred(value) for value in node.values()))
    return set().union(*(_referred(value) for value in node)) if isinstance(node, list) else set()


def _model(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a schema that the gateway can check; `{}`, which takes anything, where it can't."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if UNSAYABLE & schema.keys():
        return {}
    kept = {key: value for key, value in schema.items() if key in KEYWORDS}
    if "properties" in schema:
        kept["properties"] = {name: _model(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = _model(schema["items"])
    return kept


def _gateway_responses() -> dict[str, Any]:
    answers = {name: _refusal(*refusal) for name, refusal in REFUSALS.items()}
    return answers | {
        "DEFAULT_4XX": _refusal(None, "Refused", "the gateway refused the request", again=False),
        "DEFAULT_5XX": _refusal(None, "Unavailable", "the gateway could not reach the service", again=True),
    }


def _refusal(status: int | None, title: str, detail: str, again: bool) -> dict[str, Any]:  # noqa: FBT001 - a table's column
    """RFC 9457, as the service answers; the templates substitute `$context` and nothing else."""
    kind = "urn:rag-platform:BadRequest" if status == REFUSALS["BAD_REQUEST_BODY"][0] else "about:blank"
    problem: dict[str, Any] = {"type": kind, "title": title, "detail": detail, "requestId": "$context.requestId"}
    headers = {"gatewayresponse.header.Content-Type": PROBLEM_JSON}
    if again:
        headers["gatewayresponse.header.Retry-After"] = f"'{RETRY_S}'"
    if status is not None:
        problem["status"] = status
    body = {"responseParameters": headers, "responseTemplates": {"application/json": json.dumps(problem)}}
    return body | ({"statusCode": str(status)} if status is not None else {})
