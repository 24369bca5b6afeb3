"""The keys of the stack config as a user spells them, read from the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from infra.config.mistakes import path_of


def classes(annotation: object) -> Iterator[type[Any]]:
    """The classes of an annotation, however deep in `| None` and the like."""
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from classes(inner)


def keys(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key below a section; `<name>` stands for a name that the user chooses."""
    for name, info in model.model_fields.items():
        loc = (*before, info.alias or name)
        section = next((part for part in classes(info.annotation) if issubclass(part, BaseModel)), None)
        if section is not None:
            named = get_origin(info.annotation) is Mapping
            yield from keys(section, (*loc, "<name>") if named else loc)
        elif loc != ("stack",):
            yield path_of(loc)
