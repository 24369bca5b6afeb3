"""Golden questions: a YAML file of questions and the sources that must answer them.

The smoke test's own file is one: `title` and `collection` name the one right document. `expected` names several.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import StartupError

if TYPE_CHECKING:
    from service.ports import Hit

Text = Annotated[str, Field(min_length=1)]


class Expected(BaseModel):
    """One right document; every field that is given must fit. `-`, `_`, `.` and case of a title are alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Text | None = None
    url: Text | None = None
    id: Text | None = None
    collection: Text | None = None

    @model_validator(mode="after")
    def _names(self) -> Self:
        if not (self.title or self.url or self.id):
            raise ValueError("name the document by title, url or id")
        return self

    def fits(self, hit: Hit) -> bool:
        """Whether the chunk is of that document."""
        return (
            (self.title is None or _plain(self.title) == _plain(hit.title))
            and self.url in {None, hit.url}
            and self.id in {None, hit.id}
            and self.collection in {None, hit.collection}
        )


class Golden(BaseModel):
    """A question and what must be found for it; `cited` is the smoke test's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Text
    title: Text | None = None
    collection: Text | None = None
    expected: tuple[Expected, ...] = ()
    author: Text | None = None
    cited: bool = False

    @model_validator(mode="after")
    def _has_an_answer(self) -> Self:
        if not self.sources:
            raise ValueError("give title, or expected: [{title, url or id}]")
        return self

    @property
    def sources(self) -> tuple[Expected, ...]:
        """Every right document."""
        own = (Expected(title=self.title, collection=self.collection),) if self.title else ()
        return own + self.expected


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: Annotated[tuple[Golden, ...], Field(min_length=1)]


def load(path: Path) -> tuple[Golden, ...]:
    """The questions of a file.

    Raises:
        StartupError: it can't be read, or has another shape.
    """
    try:
        return _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).questions
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else " ".join(str(exc).split())
        raise StartupError(f"{path}: {reason}; give a YAML file of golden questions") from exc
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in exc.errors(include_input=False)[:5]
        )
        raise StartupError(f"{path}: {wrong}") from exc


def dump(questions: Sequence[Golden]) -> str:
    """A file of them."""
    rows = [question.model_dump(exclude_defaults=True) for question in questions]
    return yaml.safe_dump({"questions": rows}, sort_keys=False, allow_unicode=True, width=120)


def _plain(title: str) -> str:
    return re.sub(r"[-_.\s]+", "-", title.strip()).casefold()
