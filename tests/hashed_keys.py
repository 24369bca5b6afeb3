"""Key books as an operator writes them."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any


def hashed(name: str, key: str, **limits: Any) -> dict[str, Any]:
    salt = secrets.token_bytes(16)
    return {"name": name, "salt": salt.hex(), "sha256": hashlib.sha256(salt + key.encode()).hexdigest(), **limits}


def key_book(*keys: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "keys": keys})
