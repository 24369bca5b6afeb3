"""The only reader of stack config: parsed once at the edge, frozen, handed down as a value.

`parse` is pure; `load` takes the map from the Pulumi engine and is the only place that touches pulumi's config.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from infra.config import plaintext
from infra.config.defaults import with_defaults
from infra.config.mistakes import NOT_A_KEY, from_pydantic, legal_keys, shown, suggestion
from infra.config.rules import RULES
from infra.config.stack import StackConfig, Topology
from infra.errors import ConfigErrors, Mistake

__all__ = ["PROJECT", "StackConfig", "Topology", "load", "parse"]

PROJECT = "rag-platform"
Validated = tuple[StackConfig | None, list[Mistake], set[str]]
KEYLESS = ("accessKey", "secretKey", "token")


def parse(config: object, *, stack: str, encrypted: frozenset[str] = frozenset()) -> StackConfig:
    """The stack config of `stack`.

    Args:
        config: a mapping, as a stack file holds it; anything else is a mistake too. Keys as `rag-platform:topology` or
            bare `topology`; values parsed, or as the JSON strings that the engine hands over. Other namespaces are
            ignored, except `aws:region` and plain credentials in `aws:`.
        stack: the stack's name.
        encrypted: the keys whose value Pulumi decrypted, spelled as in `config`.

    Raises:
        ConfigErrors: every mistake at once.
    """
    mapping, wrong = _named(config)
    wrong += _foreign(mapping, encrypted)
    tree = {_bare(key): _parsed(value) for key, value in mapping.items() if _ours(key)}
    hidden = frozenset(_bare(key) for key in encrypted if _ours(key))
    region = mapping.get("aws:region")
    exposed = list(plaintext.findings(tree, hidden))
    wrong += [_exposed(path, kind) for path, kind in exposed]
    full = with_defaults(_opened(tree), stack=stack) | {"stack": stack} | ({"region": region} if region else {})
    withheld = hidden | {path.split(".")[0].split("[")[0] for path, _ in exposed}
    cfg, found, failed = _validated(full, withheld)
    wrong += [mistake for mistake in found if mistake.path not in {path for path, _ in exposed}]
    if cfg is not None:
        wrong += [mistake for rule in RULES if not rule.needs & failed for mistake in rule.check(cfg)]
    if wrong or cfg is None:
        raise ConfigErrors(tuple(wrong))
    return cfg


def load(stack: str) -> StackConfig:
    """The stack config that the engine hands the running program.

    Raises:
        ConfigErrors: every mistake at once.
    """
    from pulumi.runtime import config as engine  # noqa: PLC0415 - parse() must not need pulumi

    handed = {**engine.get_config_env(), **engine.CONFIG.get()}
    secret = frozenset(key for key in handed if engine.is_config_secret(key))
    return parse(handed, stack=stack, encrypted=secret)


def _named(config: object) -> tuple[dict[str, object], list[Mistake]]:
    """What can be read by name, and a mistake for each key that can't: YAML reads `1:` as a number.

    Raises:
        ConfigErrors: it is no mapping at all.
    """
    if not isinstance(config, Mapping):
        fix = f"write `config:` and, indented below it, keys such as `{PROJECT}:topology`"
        raise ConfigErrors((Mistake("config", None, "must be a mapping of keys", fix),))
    named = {key: value for key, value in config.items() if isinstance(key, str) and _bare(key)}
    nameless = [key for key in config if key not in named]
    return named, [Mistake(shown(key), None, NOT_A_KEY, "rename or remove it") for key in nameless]


def _validated(full: Mapping[str, object], withheld: frozenset[str]) -> Validated:
    """The config, the mistakes, and the wrong keys; a wrong key is replaced by its default to go on checking."""
    try:
        return StackConfig.model_validate(full), [], set()
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    mistakes = [from_pydantic(error, full, withheld) for error in errors]
    failed = {str(error["loc"][0]) for error in errors if error["loc"]}
    sound = {key: value for key, value in full.items() if key not in failed}
    sound = with_defaults({"topology": "ecs"} | sound, stack=str(full["stack"]))
    try:
        return StackConfig.model_validate(sound), mistakes, failed
    except ValidationError:
        return None, mistakes, failed


def _foreign(mapping: Mapping[str, object], encrypted: frozenset[str]) -> Iterator[Mistake]:
    """Mistakes outside our namespace: a misspelt namespace, and AWS keys."""
    for key, value in mapping.items():
        namespace, _, name = key.rpartition(":")
        if not namespace or namespace == PROJECT:
            continue
        if suggestion(namespace, [PROJECT]):
            yield Mistake(key, None, f"unknown namespace, did you mean {PROJECT}:{name}?", f"`pulumi config rm {key}`")
        if namespace == "aws" and name in KEYLESS and key not in encrypted and not plaintext.is_encrypted(value):
            yield Mistake(
                key,
                "(withheld)",
                "an AWS credential in plain text",
                f"`pulumi config rm {key}` and use a profile or role",
            )


def _exposed(path: str, kind: str) -> Mistake:
    top, _, rest = path.partition(".")
    home = path if path in plaintext.SECRET_PATHS else f"secrets.{rest.split('.')[0]}" if top == "secrets" else None
    names = ", ".join(f"secrets.{name}" for name in legal_keys(("secrets",)))
    fix = f"`pulumi config set --secret --path {home}`" if home else f"remove it; credentials are legal in {names}"
    return Mistake(path, "(withheld)", f"{kind} in plain text", fix)


def _ours(key: str) -> bool:
    namespace, _, _ = key.rpartition(":")
    return namespace in {"", PROJECT}


def _bare(key: str) -> str:
    return key.rpartition(":")[2]


def _parsed(value: object) -> object:
    """Structured config arrives as JSON text, and so do booleans and numbers."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text[:1] in {"{", "["} or text in {"true", "false", "null"}:
        try:
            return json.loads(text)
        except ValueError:
            return value
    return value


def _opened(value: Mapping[str, object]) -> dict[str, object]:
    """`{secure: x}` as `x`, at every level."""
    return {key: _open(inner) for key, inner in value.items()}


def _open(value: object) -> object:
    if plaintext.is_encrypted(value):
        return value["secure"]  # type: ignore[index]
    if isinstance(value, Mapping):
        return {key: _open(inner) for key, inner in value.items()}
    return [_open(inner) for inner in value] if isinstance(value, list) else value
