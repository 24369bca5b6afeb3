"""Rules about functions and the API before them: who may invoke, who gives up first, what is refused early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.policies.rules import Found, Resource, of_type, parsed, rule, stack_rule

FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
API = "aws:apigateway/restApi:RestApi"
STAGE = "aws:apigateway/stage:Stage"
SETTINGS = "aws:apigateway/methodSettings:MethodSettings"
DOMAIN = "aws:apigateway/domainName:DomainName"
GROUP = "aws:codedeploy/deploymentGroup:DeploymentGroup"
API_GATEWAY = "apigateway.amazonaws.com"
SECRET_NAMES = ("KEY", "TOKEN", "PASSWORD", "SECRET", "APIKEY", "REDIS_URL", "DATABASE_HOST")
MODERN_TLS = ("TLS_1_2", "SecurityPolicy_TLS13", "SecurityPolicy_TLS12")
INTEGRATION, VALIDATOR = "x-amazon-apigateway-integration", "x-amazon-apigateway-request-validator"


def _variables(function: Resource) -> Mapping[str, str]:
    return (function.props.get("environment") or {}).get("variables") or {}


def _serves(function: Resource) -> bool:
    """Whether it is the service, and not one that does a chore."""
    return "RAG_DEADLINE_S" in _variables(function)


def _methods(api: Resource) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Path, method and operation of the API's document; none while it isn't known yet."""
    document = api.props.get("body")
    for path, methods in ((parsed(document) if isinstance(document, str) else {}).get("paths") or {}).items():
        for method, operation in methods.items():
            yield path, method, operation


def image_fixed(function: Resource) -> Found:
    """A tag can move under a running function."""
    image = str(function.props.get("imageUri") or "")
    if image and "@sha256:" not in image and function.tags.get("environment") != "development":
        yield f"image {image} is named by a tag"


def no_plain_secret(function: Resource) -> Found:
    """Credentials reach the function by reference."""
    for name in _variables(function):
        if name.upper().endswith(SECRET_NAMES):
            yield f"{name} is a plain value"


def environment_encrypted(function: Resource) -> Found:
    """What a function is told is encrypted with the stack's key."""
    if not function.props.get("kmsKeyArn"):
        yield "its environment is encrypted with a key of AWS's own"


def traced(function: Resource) -> Found:
    """A slow answer can be followed into the function."""
    if (function.props.get("tracingConfig") or {}).get("mode") != "Active":
        yield "writes no traces"


def logs_where_they_are_kept(function: Resource) -> Found:
    """Lines go to a group of the stack; the one that Lambda makes itself is kept for ever."""
    if not (function.props.get("loggingConfig") or {}).get("logGroup"):
        yield "writes to a log group that nobody declared"


def published(function: Resource) -> Found:
    """There is a version of the service to go back to."""
    if _serves(function) and not function.props.get("publish"):
        yield "publishes no versions"


def invoked_by_name(permission: Resource) -> Found:
    """A function is invoked by what the stack names; the service by one API, through its alias."""
    if permission.props.get("principal") == "*":
        yield "lets everybody invoke"
    if not permission.props.get("sourceArn"):
        yield "names no source"
    if permission.props.get("principal") == API_GATEWAY and not permission.props.get("qualifier"):
        yield "lets versions be invoked that take no requests"


def streamed(api: Resource) -> Found:
    """Answers are passed on as they come; a buffered one ends at 29 s."""
    for path, method, operation in _methods(api):
        if operation[INTEGRATION].get("responseTransferMode") != "STREAM":
            yield f"{method} {path} waits for the whole answer"


def bodies_validated(api: Resource) -> Found:
    """A body that is plainly wrong costs nothing."""
    for path, method, operation in _methods(api):
        if "requestBody" in operation and VALIDATOR not in operation:
            yield f"{method} {path} takes any body"


def metrics_not_routed(api: Resource) -> Found:
    """Figures of the inside stay there."""
    for path, _, _ in _methods(api):
        if path.strip("/").startswith("metrics") or "{proxy" in path:
            yield f"routes {path}"


def calls_on_record(stage: Resource) -> Found:
    """Who called is on record, and where the time went."""
    if not (stage.props.get("accessLogSettings") or {}).get("destinationArn"):
        yield "writes no access log"
    if not stage.props.get("xrayTracingEnabled"):
        yield "writes no traces"


def throttled(settings: Resource) -> Found:
    """A flood ends at the API."""
    found = settings.props.get("settings") or {}
    for key in ("throttlingRateLimit", "throttlingBurstLimit"):
        if float(found.get(key, -1)) <= 0:
            yield f"{key} is off"


def questions_not_logged(settings: Resource) -> Found:
    """Questions and answers are in no log."""
    if (settings.props.get("settings") or {}).get("dataTraceEnabled"):
        yield "logs whole requests and answers"


def answers_not_shared(settings: Resource) -> Found:
    """No caller gets an answer that was another's."""
    if (settings.props.get("settings") or {}).get("cachingEnabled"):
        yield "caches answers at the API"


def modern_tls(domain: Resource) -> Found:
    """TLS starts at 1.2."""
    policy = str(domain.props.get("securityPolicy") or "")
    if not policy.startswith(MODERN_TLS):
        yield f"TLS policy {policy or '(the default)'} allows old versions"


def rollout_goes_back(group: Resource) -> Found:
    """A version that fails loses its requests by itself."""
    alarms, back = group.props.get("alarmConfiguration") or {}, group.props.get("autoRollbackConfiguration") or {}
    if not (alarms.get("enabled") and alarms.get("alarms")):
        yield "watches no alarm"
    if not back.get("enabled") or "DEPLOYMENT_STOP_ON_ALARM" not in (back.get("events") or []):
        yield "doesn't go back on an alarm"


def who_gives_up_first(resources: Sequence[Resource]) -> Found:
    """The service gives up first and can say why, then Lambda, then the API."""
    functions = [each for each in of_type(resources, FUNCTION) if _serves(each)]
    waits = {
        operation[INTEGRATION]["timeoutInMillis"] / 1000
        for api in of_type(resources, API)
        for _, _, operation in _methods(api)
    }
    for function in functions:
        deadline, ends = float(_variables(function).get("RAG_DEADLINE_S") or 0), float(function.props["timeout"])
        if ends <= deadline:
            yield f"{function.name}: ends after {ends:g} s, a request has {deadline:g} s"
        if waits and min(waits) <= ends:
            yield f"{function.name}: ends after {ends:g} s, the API waits {min(waits):g} s"


RULES = (
    rule("function-image-by-digest", image_fixed, "`opsctl image push` writes the digest", FUNCTION),
    rule("function-no-plain-secret", no_plain_secret, "name its ARN in RAG_SECRETS_FROM", FUNCTION),
    rule("function-own-key", environment_encrypted, "set kmsKeyArn", FUNCTION),
    rule("function-traced", traced, "set tracingConfig to Active", FUNCTION),
    rule("function-logs", logs_where_they_are_kept, "set loggingConfig.logGroup", FUNCTION),
    rule("function-published", published, "set publish", FUNCTION),
    rule("function-invoked-by-name", invoked_by_name, "set sourceArn, and qualifier for an API", PERMISSION),
    rule("api-streams", streamed, "set responseTransferMode to STREAM", API),
    rule("api-validates-bodies", bodies_validated, "name a request validator", API),
    rule("api-keeps-metrics-inside", metrics_not_routed, "route the published paths alone", API),
    rule("api-on-record", calls_on_record, "set accessLogSettings and xrayTracingEnabled", STAGE),
    rule("api-throttled", throttled, "set lambda.throttle", SETTINGS),
    rule("api-logs-no-questions", questions_not_logged, "set dataTraceEnabled to false", SETTINGS),
    rule("api-caches-no-answers", answers_not_shared, "set cachingEnabled to false", SETTINGS),
    rule("api-tls", modern_tls, "set securityPolicy to TLS_1_2", DOMAIN),
    rule("rollout-goes-back", rollout_goes_back, "set alarms and events", GROUP),
)
STACK_RULES = (stack_rule("lambda-timeouts-are-a-chain", who_gives_up_first, "set lambda.timeoutSeconds to 120"),)
