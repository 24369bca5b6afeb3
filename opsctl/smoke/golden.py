"""Golden questions: each names the document that must be the best hit."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from pathlib import Path

Text = Annotated[str, Field(min_length=1)]


class Golden(BaseModel):
    """One question and the title of its right document.

    Attributes:
        cited: whether the answer must cite a source; a small model seldom does for a text that it does not know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Text
    title: Text
    collection: Text | None = None
    cited: bool = False

    def names(self, title: str, collection: str) -> bool:
        """Whether a document is the right one; `-`, `_`, `.` and case are alike, as in distribution names."""
        return _plain(title) == _plain(self.title) and self.collection in {None, collection}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: Annotated[tuple[Golden, ...], Field(min_length=1)]


def load_golden(path: Path | None = None) -> tuple[Golden, ...]:
    """Read golden questions from `path` (YAML or JSON), or those of the demo corpus.

    Raises:
        NotUsable: the file can't be read or has another shape.
    """
    source = path or files("opsctl.smoke").joinpath("golden.yaml")
    try:
        return _File.model_validate(YAML(typ="safe", pure=True).load(source.read_text(encoding="utf-8"))).questions
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise NotUsable(f"--golden {path}: {exc}", next_step="give a readable YAML or JSON file") from exc
    except ValidationError as exc:
        wrong = ", ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in exc.errors(include_input=False)
        )
        raise NotUsable(
            f"--golden {path}: {wrong}", next_step="write `questions: [{question: ..., title: ...}]`"
        ) from exc


def questions_for(given: Path | None, *, demo: bool) -> tuple[Golden, ...]:
    """Those of `given`, else those of the demo corpus if the service answers from that one, else none.

    Raises:
        NotUsable: as `load_golden`.
    """
    return load_golden(given) if given is not None or demo else ()


def _plain(title: str) -> str:
    return re.sub(r"[-_.\s]+", "-", title).casefold()
