"""The key book: names, salted hashes and limits of the API keys. No key is in it, so reading it lets nobody in.

{"version": 1, "keys": [{"name": "default", "salt": "<16 bytes, hex>", "sha256": "<hex of sha256(salt + key)>",
                         "requestsPerMinute": 60, "usdPerHour": "1.5"}]}
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from service.access.caller import Caller, Limits

SALT_BYTES = 16
MOST_KEYS = 1000  # every one is compared with on every request: 1,000 take about 1 ms

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Salt = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){16,64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    # A misspelt limit would be no limit: unknown members are refused.
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True)


class HashedKey(_Model):
    """One key, as it is stored."""

    name: Name
    salt: Salt
    sha256: Sha256
    requests_per_minute: Annotated[int, Field(ge=1, strict=True)] | None = None
    usd_per_hour: Annotated[Decimal, Field(gt=0)] | None = None

    @classmethod
    def of(cls, name: str, key: bytes, limits: Limits) -> Self:
        """Hash a key with a salt of its own."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(
            name=name,
            salt=salt.hex(),
            sha256=hashlib.sha256(salt + key).hexdigest(),
            requests_per_minute=limits.requests_per_minute,
            usd_per_hour=limits.usd_per_hour,
        )

    def matches(self, key: bytes) -> bool:
        """Compare in a time that does not depend on where they differ."""
        digest = hashlib.sha256(bytes.fromhex(self.salt) + key).digest()
        return hmac.compare_digest(digest, bytes.fromhex(self.sha256))


class KeyBook(_Model):
    """All keys; a name is there once."""

    version: Literal[1]
    keys: Annotated[tuple[HashedKey, ...], Field(max_length=MOST_KEYS)]

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read the JSON.

        Raises:
            ValueError: it is no key book; one line that quotes nothing of it.
        """
        try:
            return cls.model_validate_json(document)
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{where}: {first['msg']}".removeprefix(": ")) from None

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if len({key.name for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same name")
        return self

    def having(self, key: HashedKey) -> Self:
        """The book with one key more."""
        return self.model_copy(update={"keys": (*self.keys, key)})

    def without(self, name: str) -> Self:
        """The book without the key of that name."""
        return self.model_copy(update={"keys": tuple(key for key in self.keys if key.name != name)})

    def caller(self, key: bytes) -> Caller | None:
        """Whose key it is. Every entry is compared with, so that the time tells neither whether nor which."""
        found = None
        for entry in self.keys:
            if entry.matches(key):
                found = entry
        if found is None:
            return None
        return Caller(found.name, Limits(found.requests_per_minute, found.usd_per_hour))
