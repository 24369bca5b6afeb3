"""A generated credential: made once, kept in the encrypted state, never shown."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class _TokenProvider(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        import secrets  # noqa: PLC0415 - runs in the engine's plugin process
        import uuid  # noqa: PLC0415

        return CreateResult(str(uuid.uuid4()), {**props, "value": secrets.token_urlsafe(int(props["bytes"]))})


class GeneratedToken(Resource):
    """`value`: URL-safe text of `bytes` random bytes, a Pulumi secret; replace the resource to rotate it."""

    value: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, *, size: int = 32) -> None:
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            _TokenProvider(), name, {"bytes": size, "value": None}, pulumi.ResourceOptions.merge(opts, hidden)
        )
