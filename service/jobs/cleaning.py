"""What MongoDB holds -> documents with a text worth embedding, or the reason why not. Pure.

Names of fields are those of the guide's collections (users, posts, articles, repos), in the spellings that are around:
snake and camel case, `content` as a text, as sections or as files by path.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from service.jobs import corpus
from service.jobs.corpus import UNKNOWN_AUTHOR, Document

SHORTEST_CHARS = 24  # a greeting answers nothing
MOST_GARBLED = 0.02  # share of characters that stand for bytes which were no text
LONGEST_LINE = 2000  # on average, over a file: it is minified or data
TITLE_WORDS = 8

TITLE, URL, TEXT = ("title", "name", "headline"), ("url", "link", "permalink"), ("content", "text", "body")
AUTHOR_ID, AUTHOR = ("author_id", "authorId", "user_id", "userId"), ("author_full_name", "authorFullName", "author")
SECTION_TITLES = ("title", "subtitle")
SOURCE_FILES = {
    "", ".c", ".cfg", ".cpp", ".css", ".go", ".h", ".html", ".ini", ".java", ".js", ".jsx", ".kt", ".md", ".markdown",
    ".php", ".proto", ".ps1", ".py", ".r", ".rb", ".rs", ".rst", ".scala", ".sh", ".sql", ".swift", ".tf", ".toml",
    ".ts", ".tsx", ".txt", ".yaml", ".yml",
}  # fmt: skip
GENERATED = re.compile(
    r"(?:^|/)(?:node_modules|\.git|vendor|dist|build|__pycache__)/|(?:[-.]lock|lock\.(?:json|yaml))$"
)
_TAG = re.compile(r"</?(?:p|div|br|h[1-6]|span|a|ul|ol|li|article|section|html|body)\b[^>]*>", re.IGNORECASE)
_CONTROL = {c: None for c in range(32) if c not in (9, 10)} | dict.fromkeys(
    (0x7F, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)
)
GARBLED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that is not indexed, and why, in words that are the same for every such document."""

    collection: str
    key: str
    reason: str


def clean(collection: str, raw: Mapping[str, Any], authors: Mapping[str, Mapping[str, Any]]) -> Document | Dropped:
    """One stored document; `authors` are the users by id."""
    key = str(raw.get("_id", ""))
    content = _first(raw, TEXT)
    if content is None or content in ("", {}, []):
        return Dropped(collection, key, "no text")
    if not isinstance(content, str | Mapping | list):
        return Dropped(collection, key, "content is no text")
    title, text = CLEANERS.get(collection, _article)(content)
    text = tidy(text)
    if text.count(GARBLED) > MOST_GARBLED * len(text):
        return Dropped(collection, key, "not UTF-8")
    text = text.replace(GARBLED, "")
    if len(text) < SHORTEST_CHARS:
        return Dropped(collection, key, "too short" if text else "no text")
    named = tidy(str(_first(raw, TITLE) or title or "")).replace("\n", " ")
    author_id = "" if (said := _first(raw, AUTHOR_ID)) is None else str(said)  # 0 is an id
    author = full_name(authors.get(author_id, {})) or tidy(str(_first(raw, AUTHOR) or "")) or UNKNOWN_AUTHOR
    return Document(
        collection=collection,
        title=named or " ".join(text.split()[:TITLE_WORDS]),
        url=str(_first(raw, URL) or f"mongodb:{collection}/{key}"),
        author=author,
        text=text,
        markup="text" if collection == "posts" else "markdown",
        id=key,
        author_id=author_id or author,
    )


def full_name(user: Mapping[str, Any]) -> str:
    """A user's name; empty where it has none."""
    whole = _first(user, ("fullName", "full_name"))
    parts = (
        whole or f"{_first(user, ('first_name', 'firstName')) or ''} {_first(user, ('last_name', 'lastName')) or ''}"
    )
    return " ".join(str(parts).split())


def tidy(text: str) -> str:
    """One form of each character, no control characters, no inline pictures, no runs of white space."""
    text = corpus.DATA_URI.sub("", unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))
    text = text.translate(_CONTROL)
    text = re.sub(r"[ \t\N{NO-BREAK SPACE}]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _post(content: Any) -> tuple[str, str]:  # noqa: ANN401 - what a database holds
    """A post is short prose: its lines are kept, its layout is not."""
    title, text = _article(content)
    return title, "\n".join(" ".join(line.split()) for line in text.split("\n"))


def _article(content: Any) -> tuple[str, str]:  # noqa: ANN401
    """Sections in their order, HTML as its text."""
    if isinstance(content, str):
        return "", _plain(content)
    title, parts = "", []
    for name, part in _parts(content):
        if name.casefold() in SECTION_TITLES and "\n" not in part:
            title = title or part
        parts.append(_plain(part))
    return title, "\n\n".join(part for part in parts if part)


def _repo(content: Any) -> tuple[str, str]:  # noqa: ANN401
    """Files that a person wrote, each below its path; the README leads."""
    if isinstance(content, str):
        return "", corpus.without_badges(content)
    files = [(path, text) for path, text in _parts(content) if _is_source(path, text)]
    files.sort(key=lambda file: (not PurePosixPath(file[0]).name.lower().startswith("readme"), file[0]))
    return "", "\n\n".join(f"## {path}\n\n{corpus.without_badges(text)}" for path, text in files)


CLEANERS: dict[str, Callable[[Any], tuple[str, str]]] = {"posts": _post, "articles": _article, "repos": _repo}


def _parts(content: Mapping[str, Any] | list[Any]) -> Iterator[tuple[str, str]]:
    """(name, text) of a mapping's values or of a list of texts or of {path, content}; nested ones by their path."""
    if isinstance(content, list):
        for number, one in enumerate(content):
            if isinstance(one, Mapping) and (text := _first(one, TEXT)) is not None:
                yield str(_first(one, ("path", *TITLE)) or number), str(text)
            elif isinstance(one, str):
                yield str(number), one
        return
    for name, value in content.items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, Mapping | list):
            for inner, text in _parts(value):
                yield f"{name}/{inner}", text


def _is_source(path: str, text: str) -> bool:
    if GENERATED.search(path) or PurePosixPath(path).suffix.lower() not in SOURCE_FILES:
        return False
    return len(text) <= LONGEST_LINE * (text.count("\n") + 1)


def _plain(text: str) -> str:
    return corpus.html(text).get_text("\n", strip=True) if _TAG.search(text) else text


def _first(raw: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401
    """The first of the fields that is there and not empty, whatever its case."""
    for name in names:
        if (value := raw.get(name)) is not None and value != "":
            return value
    lowered = {str(key).lower(): value for key, value in raw.items()}
    return next((lowered[name.lower()] for name in names if lowered.get(name.lower()) not in (None, "")), None)
