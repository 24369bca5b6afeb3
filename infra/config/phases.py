"""What the second phase of the bootstrap adds to a stack file: stand-ins for who draws or prices a stack early."""

from __future__ import annotations

from collections.abc import Mapping

SECOND_PHASE: Mapping[str, Mapping[str, object]] = {
    "service": {"image": "registry.example.com/rag@sha256:" + "0" * 64},
    "retrieval": {"url": "https://vectors.example.com"},
    "secrets": {name: {"secure": "-"} for name in ("openaiApiKey", "qdrantApiKey", "mongoUrl")},
}


def with_second_phase(tree: object) -> object:
    """The config of a stack file with the stand-ins where it says nothing; what is no mapping is left to `parse`."""
    if not isinstance(tree, Mapping):
        return tree
    whole = dict(tree)
    for section, values in SECOND_PHASE.items():
        key = f"rag-platform:{section}"
        given = whole.get(key, {})
        if isinstance(given, Mapping):
            whole[key] = {**values, **given}
    return whole
