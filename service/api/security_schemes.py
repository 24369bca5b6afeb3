"""How to authenticate, said in the OpenAPI document: what the gate asks for, and the Authorize button of /docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.api.paths import is_open

if TYPE_CHECKING:
    from fastapi import FastAPI

SCHEMES: dict[str, dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of the identity provider."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same API key."},
}


def declare(app: FastAPI) -> None:
    """Add the schemes to the document, and to every operation that is not open.

    They are no dependencies of the routes: the gate has decided before a route is looked up.
    """
    described = app.openapi

    def with_schemes() -> dict[str, Any]:
        document = described()
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            if not is_open(path):
                for operation in operations.values():
                    operation["security"] = [{name: []} for name in SCHEMES]
        return document

    app.openapi = with_schemes  # type: ignore[method-assign] # FastAPI's own way to extend the document
