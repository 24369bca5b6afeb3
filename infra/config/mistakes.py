"""Turns pydantic's errors into mistakes that name the key, the value, what is legal and the fix."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from infra.config.plaintext import looks_secret
from infra.config.stack import StackConfig
from infra.errors import Mistake

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SHOWN_LIMIT = 60
RENAMED = {"region": "aws:region"}
ILL_KEYED = ("extra_forbidden", "invalid_key")  # the key is wrong: nobody knows what its value is, so it isn't shown
NAME_OF_A_KEY = "[key]"  # where pydantic's error is about the name that a user gave, not about what is under it
NOT_A_KEY = "a key must be text, and not empty"
LEGAL_REGION = "must be an AWS region such as eu-north-1"


def from_pydantic(error: ErrorDetails, tree: Mapping[str, object], hidden: frozenset[str]) -> Mistake:
    """One mistake for one of pydantic's errors about `tree`; values under `hidden` top-level keys are withheld."""
    loc = tuple(part for part in error["loc"] if part not in {"function-after", "function-before", NAME_OF_A_KEY})
    path = _key_path(loc, tree) if error["type"] == "invalid_key" else path_of(loc)
    top = str(loc[0]) if loc else ""
    found, value = lookup(tree, loc)
    withheld = top in hidden or top == "secrets"
    displayed = shown(value, withheld=withheld) if found and not _ill_keyed(error) else None
    return Mistake(path, displayed, _problem(error, loc), _fix(error, loc, path))


def _ill_keyed(error: ErrorDetails) -> bool:
    return error["type"] in ILL_KEYED or NAME_OF_A_KEY in error["loc"]


def path_of(loc: Sequence[object]) -> str:
    """`("service", "replicas", "max")` as `service.replicas.max`; list positions as `[0]`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return RENAMED.get(text, text)


def _key_path(loc: Sequence[object], tree: object) -> str:
    """The path of a key that is no text, spelled as in YAML; pydantic names it 1 where it is `true`."""
    _, section = lookup(tree, loc[:-1])
    keys = section if isinstance(section, Mapping) else ()
    return f"{path_of(loc[:-1])}.{shown(next((key for key in keys if key == loc[-1]), loc[-1]))}"


def lookup(tree: object, loc: Sequence[object]) -> tuple[bool, object]:
    """Whether `tree` has something at `loc`, and what."""
    for part in loc:
        if isinstance(tree, list | tuple):
            tree = dict(enumerate(tree))
        if not isinstance(tree, Mapping) or part not in tree:
            return False, None
        tree = tree[part]
    return True, tree


def shown(value: object, *, withheld: bool = False) -> str:
    """A value as it may be printed: short, on one line, and not at all where it may be a secret."""
    if withheld:
        return "(withheld)"
    text = value if isinstance(value, str) and value else _json(value)
    text = re.sub(r"\s+", " ", text)
    if looks_secret(text):
        return "(withheld)"
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 3] + "..."


def _json(value: object) -> str:
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except TypeError:  # a key that is a date, as YAML reads 2026-01-31
        return str(value)


def legal_keys(loc: Sequence[object]) -> list[str]:
    """The keys that exist in the section at `loc`, as the user spells them."""
    model = _model_at(loc)
    names = [info.alias or name for name, info in model.model_fields.items()] if model else []
    return [name for name in names if not (model is StackConfig and name in {"stack", "region"})]


def suggestion(word: str, words: Sequence[str]) -> str | None:
    """The legal word that `word` most likely means."""
    folded = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in words}
    near = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", word.lower()), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def _problem(error: ErrorDetails, loc: Sequence[object]) -> str:
    ctx: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            text = _unknown(loc)
        case "invalid_key":
            text = NOT_A_KEY
        case "string_too_short":
            text = "must not be empty"
        case "missing":
            text = f"required but missing{_legal_of(loc)}"
        case "literal_error":
            text = "legal: " + str(ctx["expected"]).replace("'", "").replace(" or ", ", ")
        case "value_error":
            text = str(ctx["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            text = "must be a mapping of keys"
        case "too_short":
            text = f"must have at least {ctx['min_length']} item"
        case _ if path_of(loc) == "aws:region":
            text = LEGAL_REGION
        case _:
            text = error["msg"].removeprefix("Input ").replace("should be", "must be") + _bounds(loc)
    return text


def _unknown(loc: Sequence[object]) -> str:
    keys = legal_keys(loc[:-1])
    near = suggestion(str(loc[-1]), keys)
    hint = f", did you mean {near}?" if near else ""
    return f"unknown key{hint} (legal here: {', '.join(keys)})"


def _legal_of(loc: Sequence[object]) -> str:
    words = [str(arg) for arg in get_args(_annotation(loc)) if isinstance(arg, str)]
    return f"; legal: {', '.join(words)}" if words else ""


def _bounds(loc: Sequence[object]) -> str:
    low: object = None
    high: object = None
    for part in _metadata(loc):
        low = next((getattr(part, name) for name in ("ge", "gt") if hasattr(part, name)), low)
        high = next((getattr(part, name) for name in ("le", "lt") if hasattr(part, name)), high)
    return f" (legal: {low} to {high})" if low is not None and high is not None else ""


def _fix(error: ErrorDetails, loc: Sequence[object], path: str) -> str:
    if error["type"] == "extra_forbidden":
        near = suggestion(str(loc[-1]), legal_keys(loc[:-1]))
        return f"rename it, or `pulumi config rm --path {path}`" if near else f"`pulumi config rm --path {path}`"
    if error["type"] == "invalid_key" or NAME_OF_A_KEY in error["loc"]:
        return "rename or remove it"
    if path.startswith("aws:"):
        return f"`pulumi config set {path} <region>`"
    if path.startswith("secrets."):
        return f"`pulumi config set --secret --path {path}`"
    if _model_at(loc) is not None:
        keys = ", ".join(legal_keys(loc))
        return f"`pulumi config set --path {path}.<key> <value>` (keys: {keys})"
    flag = "--path " if "." in path else ""
    return f"`pulumi config set {flag}{path} <value>`"


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for arg in get_args(annotation):
        yield from _models(arg)


def _field(model: type[BaseModel] | None, name: object) -> Any:  # noqa: ANN401 - pydantic's FieldInfo or None
    fields = model.model_fields if model else {}
    return next((info for key, info in fields.items() if name in {key, info.alias}), None)


def _model_at(loc: Sequence[object]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = StackConfig
    named = False  # the next part is a name that the user chose, what is below it has the same model
    for part in loc:
        if named:
            named = False
            continue
        info = _field(model, part)
        model = next(_models(info.annotation), None) if info else None
        named = info is not None and get_origin(info.annotation) is Mapping
    return model


def _annotation(loc: Sequence[object]) -> object:
    info = _field(_model_at(loc[:-1]), loc[-1]) if loc else None
    return info.annotation if info else None


def _metadata(loc: Sequence[object]) -> Sequence[object]:
    info = _field(_model_at(loc[:-1]), loc[-1]) if loc else None
    return info.metadata if info else ()
