"""The HTTP contract as documents: OpenAPI 3.1 as FastAPI writes it, and 3.0 for gateways that read no newer one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings

# JSON Schema keywords of 3.1 that 3.0 lacks and that describe nothing a gateway validates.
_DROPPED = frozenset({"examples", "contentMediaType", "$schema"})


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every route, the same for every deployment."""
    settings = Settings(vector_store="faiss", bundle_dir=Path("unused"), docs=True)
    return create_app(settings).openapi()


def lowered(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same contract as OpenAPI 3.0.3: null types become `nullable`, `const` an `enum` of one."""
    if isinstance(node, list):
        return [lowered(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    lower = {key: lowered(value) for key, value in node.items() if key not in _DROPPED}
    if "openapi" in lower:
        lower["openapi"] = "3.0.3"
        lower["info"].pop("summary", None)  # new in 3.1
    if "const" in lower:
        lower["enum"] = [lower.pop("const")]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(lower.get(bound), int | float):
            lower[limit], lower[bound] = lower[bound], True
    choices = lower.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del lower["anyOf"]
        # A $ref ignores its siblings in 3.0, so it is wrapped.
        lower |= (
            {"allOf": rest} if len(rest) == 1 and "$ref" in rest[0] else rest[0] if len(rest) == 1 else {"anyOf": rest}
        )
        lower["nullable"] = True
        if lower.get("default", 0) is None:
            del lower["default"]
    return lower
