"""Defaults that hang on another key: the topology, the stack's name, the provider."""

from __future__ import annotations

from collections.abc import Mapping

REPLICAS = {"ecs": (2, 4), "eks": (2, 10), "lambda": (1, 2), "hybrid": (1, 1)}
DEVELOPMENT_NAMES = ("dev", "local", "test")
MODELS = {"sagemaker": "mlabonne/TwinLlama-3.1-8B-DPO", "openai": "gpt-4o-mini"}
SMOKE_TEST_KEY = "default"  # always there: naming another caller must not take away the key that proves a deployment
SECTIONS = (
    "service",
    "scaling",
    "access",
    "generation",
    "queryModel",
    "retrieval",
    "documents",
    "cache",
    "network",
    "monitoring",
    "budget",
    "ecs",
    "eks",
    "lambda",
    "hybrid",
    "secrets",
)


def environment_of(stack: str) -> str:
    """`development` for stacks named dev, local, test, or one of these and a hyphen; else `production`."""
    return "development" if stack.split("-", maxsplit=1)[0] in DEVELOPMENT_NAMES else "production"


def with_defaults(tree: Mapping[str, object], *, stack: str) -> dict[str, object]:
    """`tree` with every section present and the dependent defaults filled in; what is given stays as it is."""
    full: dict[str, object] = {name: {} for name in SECTIONS} | {"environment": environment_of(stack)} | dict(tree)
    full["queryModel"] = {"provider": "none"} if full["queryModel"] == "none" else full["queryModel"]
    topology = str(full.get("topology"))
    low, high = REPLICAS.get(topology, REPLICAS["ecs"])
    service = _section(full, "service")
    if service is not None:
        replicas = service.get("replicas", {})
        if isinstance(replicas, Mapping):
            service["replicas"] = _bounds(replicas, low, high)
    access = _section(full, "access")
    if access is not None:
        callers = access.get("keys", {})
        access["keys"] = {SMOKE_TEST_KEY: {}, **callers} if isinstance(callers, Mapping) else callers
    _fill(full, "cache", "redis", "none" if topology in {"lambda", "hybrid"} else "elasticache")
    _fill(full, "queryModel", "provider", "none" if topology == "hybrid" else "openai")
    if topology == "hybrid":
        _fill(full, "retrieval", "reranker", "none")  # the image has it, an edge host hasn't
    generation = _section(full, "generation")
    if generation is not None:
        _fill(full, "generation", "model", MODELS.get(str(generation.get("provider", "sagemaker"))))
    return full


def _bounds(given: Mapping[str, object], low: int, high: int) -> dict[str, object]:
    """A lone `max: 1` or `min: 6` moves the other default out of its way."""
    top, bottom = given.get("max"), given.get("min")
    if isinstance(top, int) and bottom is None:
        low = min(low, max(top, 1))
    if isinstance(bottom, int) and top is None:
        high = max(high, bottom)
    return {"min": low, "max": high} | dict(given)


def _section(full: dict[str, object], name: str) -> dict[str, object] | None:
    given = full[name]
    if not isinstance(given, Mapping):
        return None
    copy = dict(given)
    full[name] = copy
    return copy


def _fill(full: dict[str, object], section: str, key: str, value: object) -> None:
    copy = _section(full, section)
    if copy is not None:
        copy.setdefault(key, value)
