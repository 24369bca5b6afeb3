"""Bad functions and APIs: for each rule one good resource and the one field that is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Break = Callable[[dict[str, Any]], None]


def put(path: str, value: Any) -> Break:
    """Sets one field; `None` takes it away."""

    def break_it(props: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place = props
        for step in way:
            place = place[step]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value

    return break_it


def document(path: str, method: str, break_it: Break) -> Break:
    """Breaks one operation of the API's document."""

    def break_document(props: dict[str, Any]) -> None:
        body = json.loads(props["body"])
        break_it(body["paths"][path][method])
        props["body"] = json.dumps(body)

    return break_document


def routed(path: str) -> Break:
    """One more path, routed as the others are."""

    def break_document(props: dict[str, Any]) -> None:
        body = json.loads(props["body"])
        body["paths"][path] = {"get": body["paths"]["/livez"]["get"]}
        props["body"] = json.dumps(body)

    return break_document


INTEGRATION = "x-amazon-apigateway-integration"
FUNCTION, API = "lambda/function:Function", "apigateway/restApi:RestApi"
GROUP = "codedeploy/deploymentGroup:DeploymentGroup"
STAGE, SETTINGS = "apigateway/stage:Stage", "apigateway/methodSettings:MethodSettings"
BAD: dict[str, tuple[str, str, Break]] = {
    "function-image-by-digest": (FUNCTION, "-function", put("imageUri", "registry.example.com/rag:1")),
    "function-no-plain-secret": (FUNCTION, "-function", put("environment.variables.QDRANT_APIKEY", "planted")),
    "function-own-key": (FUNCTION, "-function", put("kmsKeyArn", None)),
    "function-traced": (FUNCTION, "-function", put("tracingConfig", {"mode": "PassThrough"})),
    "function-logs": (FUNCTION, "-function", put("loggingConfig", {"logFormat": "JSON"})),
    "function-published": (FUNCTION, "-function", put("publish", value=False)),
    "function-invoked-by-name": ("lambda/permission:Permission", "-invoke", put("sourceArn", None)),
    "api-streams": (API, "", document("/rag", "post", put(f"{INTEGRATION}.responseTransferMode", "BUFFERED"))),
    "api-validates-bodies": (API, "", document("/rag", "post", put("x-amazon-apigateway-request-validator", None))),
    "api-keeps-metrics-inside": (API, "", routed("/metrics")),
    "api-on-record": (STAGE, "", put("accessLogSettings", None)),
    "api-throttled": (SETTINGS, "", put("settings.throttlingRateLimit", None)),
    "api-logs-no-questions": (SETTINGS, "", put("settings.dataTraceEnabled", value=True)),
    "api-caches-no-answers": (SETTINGS, "", put("settings.cachingEnabled", value=True)),
    "api-tls": ("apigateway/domainName:DomainName", "", put("securityPolicy", "TLS_1_0")),
    "rollout-goes-back": (GROUP, "", put("alarmConfiguration.enabled", value=False)),
    "lambda-timeouts-are-a-chain": (FUNCTION, "-function", put("timeout", 20)),
}  # fmt: skip
# type -> path of a safe field -> what it is flipped to, as tests/policy/test_mutations.py has them
GONE = object()
FLIPS: dict[str, dict[str, Any]] = {
    "lambda/function:Function": {
        "imageUri": "registry.example.com/rag:latest",
        "kmsKeyArn": GONE,
        "publish": False,
        "timeout": 25,
        "tracingConfig.mode": "PassThrough",
        "loggingConfig.logGroup": GONE,
        "environment.variables.RAG_DEADLINE_S": "300",
        "environment.variables": {"OPENAI_API_KEY": "planted"},
        "reservedConcurrentExecutions": GONE,
    },
    "lambda/permission:Permission": {"principal": "*", "sourceArn": GONE, "qualifier": GONE},
    "apigateway/restApi:RestApi": {
        f"body.paths./rag.post.{INTEGRATION}.responseTransferMode": "BUFFERED",
        f"body.paths./rag.post.{INTEGRATION}.timeoutInMillis": 29000,
        "body.paths./rag.post.x-amazon-apigateway-request-validator": GONE,
        "disableExecuteApiEndpoint": False,
    },
    "apigateway/stage:Stage": {"accessLogSettings": GONE, "xrayTracingEnabled": False},
    "apigateway/methodSettings:MethodSettings": {
        "settings.throttlingRateLimit": -1,
        "settings.throttlingBurstLimit": -1,
        "settings.dataTraceEnabled": True,
        "settings.cachingEnabled": True,
    },
    "apigateway/domainName:DomainName": {"securityPolicy": "TLS_1_0"},
    "ecr/repositoryPolicy:RepositoryPolicy": {"policy.Statement.[].Condition": GONE},
    "codedeploy/deploymentGroup:DeploymentGroup": {
        "alarmConfiguration.enabled": False,
        "alarmConfiguration.alarms": [],
        "autoRollbackConfiguration.enabled": False,
        "autoRollbackConfiguration.events": ["DEPLOYMENT_FAILURE"],
    },
}
