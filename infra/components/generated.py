"""A generated credential: made once, kept in the encrypted state, never shown."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

SIZE = 32


class _TokenProvider(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        import secrets  # noqa: PLC0415 - runs in the engine's plugin process
        import uuid  # noqa: PLC0415

        return CreateResult(str(uuid.uuid4()), {**props, "value": secrets.token_hex(int(props["bytes"]))})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another size or revision is another token."""
        changed = [key for key in ("bytes", "revision") if olds.get(key, 1) != news.get(key, 1)]
        return DiffResult(changes=bool(changed), replaces=changed)


class GeneratedToken(Resource):
    """`value`: hex digits of `size` random bytes, a Pulumi secret; another `revision` makes another one."""

    value: pulumi.Output[str]

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, *, size: int = SIZE, revision: int = 1
    ) -> None:
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            _TokenProvider(),
            name,
            {"bytes": size, "revision": revision, "value": None},
            pulumi.ResourceOptions.merge(opts, hidden),
        )
