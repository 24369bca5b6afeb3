"""Finds credentials in places that are not secret. Pure; never returns or shows the value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

# What vendors' credentials look like; each with the name that the mistake uses.
SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("an OpenAI key", re.compile(r"\bsk-[A-Za-z0-9_-]{12,}")),
    ("an AWS access key", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{12,}")),
    ("a GitHub token", re.compile(r"\b(gh[pousr]_|github_pat_)[A-Za-z0-9_]{16,}")),
    ("a Slack token", re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{8,}")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an address with a password", re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@")),
)
NAMES = re.compile(r"(?i)(api[-_]?key|secret[-_]?key|access[-_]?key|password|passwd|token|secret)$")
NOT_SECRET_NAMES = frozenset({"contextTokens", "maxOutputTokens", "secrets"})
SECRET_PATHS = frozenset({"monitoring.pagerDuty"})


def is_encrypted(value: object) -> bool:
    """Whether a value is Pulumi's `{secure: <ciphertext>}`, as stack files hold secrets."""
    return isinstance(value, Mapping) and set(value) == {"secure"}


def looks_secret(text: str) -> bool:
    """Whether a text holds something that has the shape of a vendor's credential."""
    return any(shape.search(text) for _, shape in SHAPES)


def findings(tree: Mapping[str, object], encrypted: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Path and kind of every plain credential; top-level keys in `encrypted` came out of Pulumi's secret store."""
    for key, value in tree.items():
        if key in encrypted:
            continue
        for path, leaf in leaves(value, key):
            kind = _kind(path, leaf)
            if kind:
                yield path, kind


def leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Every leaf with its path; an encrypted value is skipped."""
    if is_encrypted(value):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def _kind(path: str, leaf: object) -> str | None:
    if not isinstance(leaf, str) or not leaf:
        return None
    if path.startswith("secrets.") or path in SECRET_PATHS:
        return "a secret"
    for kind, shape in SHAPES:
        if shape.search(leaf):
            return kind
    name = path.rsplit(".", 1)[-1]
    return "a credential by its key's name" if NAMES.search(name) and name not in NOT_SECRET_NAMES else None
