"""The callers' keys: each in a secret of its own, and one book of salted hashes, which is all that the service sees."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pulumi

from infra.components.generated import GeneratedToken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.config.access import ApiKey

BOOK = "apiKeys"
SALT_BYTES = 16


def entry(name: str, key: str, salt: str, limits: ApiKey) -> dict[str, Any]:
    """The line of `name` in the book: `salt` in hex digits, the digest of both, and what differs from `access`.

    One round of SHA-256 is enough: the keys are 256 random bits, no guess finds them.
    """
    own = {
        "requestsPerMinute": limits.requests_per_minute,
        "usdPerHour": f"{limits.usd_per_hour:f}" if limits.usd_per_hour is not None else None,
    }
    digest = hashlib.sha256(bytes.fromhex(salt) + key.encode()).hexdigest()
    return {"name": name, "salt": salt, "sha256": digest, **{k: v for k, v in own.items() if v is not None}}


def book(entries: Sequence[Mapping[str, Any]]) -> str:
    """The document that `RAG_API_KEYS_FROM` names."""
    return json.dumps({"version": 1, "keys": list(entries)})


class ApiKeys(pulumi.ComponentResource):
    """`secrets`: what the vault keeps, `apiKey-<name>` for each caller and `apiKeys` for the service."""

    secrets: dict[str, pulumi.Input[str]]

    def __init__(self, name: str, keys: Mapping[str, ApiKey], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:ApiKeys", name, None, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self.secrets, entries = {}, []
        for caller, limits in sorted(keys.items()):
            token = self._token(f"key-{caller}", limits.revision)
            salt = self._token(f"salt-{caller}", limits.revision, size=SALT_BYTES)
            self.secrets[f"apiKey-{caller}"] = token
            entries.append(_entry(caller, token, salt, limits))
        self.secrets[BOOK] = pulumi.Output.all(*entries).apply(book)
        self.register_outputs({})

    def _token(self, what: str, revision: int, **size: int) -> pulumi.Output[str]:
        made = GeneratedToken(f"{self._name}-api-{what}", opts=self._child, revision=revision, **size)
        return made.value


def _entry(
    caller: str, token: pulumi.Output[str], salt: pulumi.Output[str], limits: ApiKey
) -> pulumi.Output[dict[str, Any]]:
    return pulumi.Output.all(token, salt).apply(lambda made: entry(caller, made[0], made[1], limits))
