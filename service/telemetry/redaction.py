"""Secrets leave no log line: the ones that the process knows by value, and whatever looks like one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from pydantic import SecretStr

from service.settings import Settings

MASK = "***"
SHORTEST = 6  # a shorter value would be struck out of ordinary words

_Q = r"""\\*["']?"""  # a quote, escaped where the text is JSON within JSON
_IS = rf"""{_Q}\s*[:=,]\s*(?:b(?=["']))?{_Q}"""  # between a name and its value, in JSON, Python, headers or forms
_PATTERNS = (
    (re.compile(rf"(?i)((?:proxy-)?authorization{_IS}(?:\w+\s+)?)[^\s\"'\\,;]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    (
        re.compile(
            rf"(?i)((?:x-)?api[-_]?key|password|passwd|secret|access[-_]token|refresh[-_]token)"
            rf"({_IS})[^\s\"'\\,;&}}]+"
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(://)[^/\s:@\"']*:[^/\s\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
)


class Redaction:
    """Text in, text without secrets out."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {spelling for secret in secrets for spelling in (secret, json.dumps(secret)[1:-1])}
        longest_first = sorted((known for known in spellings if len(known) >= SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Works on a finished line, so that no way into it is forgotten."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, masked in _PATTERNS:
            text = pattern.sub(masked, text)
        return text


def secrets_of(settings: Settings) -> set[str]:
    """Every secret that the settings hold, and the passwords inside of their addresses."""
    values = [getattr(settings, field) for field in type(settings).model_fields]
    secrets = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    addresses = [value for value in (*values, *secrets) if isinstance(value, str) and "://" in value]
    return secrets | {password for address in addresses if (password := _password(address))}


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:  # some other text with :// in it
        return None
