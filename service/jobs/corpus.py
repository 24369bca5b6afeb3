"""Where documents come from: a folder of files, or the demo corpus that every machine has.

The demo corpus ships nothing: collection `repos` is the READMEs and authors of the Python distributions that are
installed, `articles` this project's docs, `posts` the entries of its change log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.utils import getaddresses
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from service.errors import StartupError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

COLLECTIONS = ("posts", "articles", "repos")
UNKNOWN_AUTHOR = "unknown"
MAX_FILE_BYTES = 20 * 1024 * 1024
DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[\w+/=-]+")  # a picture in a text: long, and nothing to find
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Document:
    """One text before it is cut into chunks."""

    collection: str
    title: str
    url: str
    author: str
    text: str
    markup: Literal["markdown", "text"] = "text"
    id: str = ""
    author_id: str = ""
    summary: str = ""

    @property
    def key(self) -> str:
        """What stays the same when the text is edited: its id where the source has ids, else where it is from."""
        return self.id or f"{self.url}\0{self.title}"


def demo(project: Path = PROJECT) -> list[Document]:
    """The demo corpus, in a stable order."""
    return sorted(
        [*_distributions(), *_articles(project / "docs"), *_posts(project / "CHANGELOG.md")],
        key=lambda document: (document.collection, document.title, document.url),
    )


def folder(path: Path) -> list[Document]:
    """Every readable document below `path` that has a text.

    Raises:
        StartupError: as `documents`, or there is none.
    """
    found = [document for document in documents(path) if document.text.strip()]
    if not found:
        raise StartupError(f"{path}: no text in any {', '.join(sorted(READERS))} file below it")
    return found


def documents(path: Path) -> Iterator[Document]:
    """Every document below `path`, file by file; JSONL rows may name their own collection, the rest are `articles`.

    Raises:
        StartupError: no such folder, or a file that can't be read.
    """
    if not path.is_dir():
        raise StartupError(f"{path} is not a folder; give one with .md, .html, .txt or .jsonl files")
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.suffix.lower() in READERS:
            yield from _read(file, path)


def _read(file: Path, root: Path) -> list[Document]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise StartupError(f"{file}: over {MAX_FILE_BYTES // 2**20} MiB; split it")
        text = file.read_text(encoding="utf-8-sig")  # a byte order mark is no text
    except UnicodeDecodeError as exc:
        raise StartupError(f"{file}: not UTF-8 at byte {exc.start}; convert it") from exc
    except OSError as exc:
        raise StartupError(f"{file}: can't be read ({exc.strerror}); make it readable or move it away") from exc
    return READERS[file.suffix.lower()](DATA_URI.sub("", text), file.relative_to(root))


def _markdown(text: str, name: Path) -> list[Document]:
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    title = heading[1].strip() if heading else name.stem
    return [Document("articles", title, name.as_posix(), UNKNOWN_AUTHOR, text, "markdown")]


def _plain(text: str, name: Path) -> list[Document]:
    return [Document("articles", name.stem, name.as_posix(), UNKNOWN_AUTHOR, text)]


def _html(text: str, name: Path) -> list[Document]:
    soup = html(text)
    title = soup.title.get_text(strip=True) if soup.title else name.stem
    author = soup.find("meta", attrs={"name": "author"})
    named = str(author.get("content") or "").strip() if author is not None else ""
    body = soup.get_text("\n", strip=True)
    return [Document("articles", title or name.stem, name.as_posix(), named or UNKNOWN_AUTHOR, body)]


def html(text: str) -> BeautifulSoup:
    """What a reader would see of a page, as a tree."""
    from bs4 import BeautifulSoup  # noqa: PLC0415 - only where there is HTML

    soup = BeautifulSoup(text, "html.parser")
    for tag in soup(["script", "style", "nav", "template"]):
        tag.decompose()
    return soup


def _jsonl(text: str, name: Path) -> list[Document]:
    # Not splitlines(): U+2028 ends no line of JSON.
    return [_row(line, f"{name.as_posix()}#{n}") for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def _row(line: str, where: str) -> Document:
    """A JSONL row: `text` is required; `title`, `url`, `author`, `collection` are not."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise StartupError(f"{where}: not JSON ({exc})") from exc
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise StartupError(f'{where}: a row is an object with a string "text"')
    fields = {
        key: str(row.get(key) or default)
        for key, default in (("title", where), ("url", where), ("author", UNKNOWN_AUTHOR), ("collection", "articles"))
    }
    # JSON can spell half a character (a lone surrogate), which no database can store.
    whole = {key: value.encode(errors="replace").decode() for key, value in (fields | {"text": row["text"]}).items()}
    return Document(markup="text", **whole)


READERS: dict[str, Callable[[str, Path], list[Document]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".txt": _plain,
    ".rst": _plain,
    ".html": _html,
    ".htm": _html,
    ".jsonl": _jsonl,
}


def _distributions() -> Iterator[Document]:
    seen: set[str] = set()
    for distribution in metadata.distributions():
        about = cast("Message", distribution.metadata)  # what importlib.metadata returns in all its releases
        name = about["Name"]
        readme = about.get_payload() or about.get("Description") or ""
        if not name or name in seen or not str(readme).strip():
            continue
        seen.add(name)
        text = f"{name}: {about.get('Summary') or ''}\n\n{without_badges(str(readme))}"
        kind = about.get("Description-Content-Type", "")
        markup: Literal["markdown", "text"] = "markdown" if "markdown" in kind else "text"
        yield Document("repos", name, _homepage(about), _author(about), text, markup)


def _author(about: Message) -> str:
    for field in ("Author", "Maintainer", "Author-email", "Maintainer-email"):
        said = str(about.get(field) or "").strip()
        people = getaddresses([said]) if "@" in said else [(said.split(",")[0], "")]
        for name, address in people:
            named = name or address.split("@")[0]
            if named and named.upper() != "UNKNOWN":
                return named.strip()
    return UNKNOWN_AUTHOR


def _homepage(about: Message) -> str:
    if about.get("Home-page"):
        return str(about["Home-page"])
    links = [entry.split(",", 1)[1].strip() for entry in about.get_all("Project-URL") or () if "," in entry]
    return links[0] if links else f"pypi:{about['Name']}"


def without_badges(readme: str) -> str:
    """Image links say nothing to a reader of text, and much to a tokenizer."""
    readme = re.sub(r"\[?!\[[^\]]*\]\([^)]*\)(?:\]\([^)]*\))?", "", readme)
    readme = re.sub(r"<img\b[^>]*>|<a\b[^>]*>|</a>|<!--.*?-->", "", readme, flags=re.DOTALL)
    return re.sub(r"^\.\. (?:image|\|[^|]*\| image)::.*(?:\n[ \t]+:.*)*", "", readme, flags=re.MULTILINE)


def _articles(docs: Path) -> Iterator[Document]:
    for file in sorted(docs.rglob("*.md")):
        yield from _markdown(file.read_text(encoding="utf-8"), Path("docs") / file.relative_to(docs))


def _posts(changelog: Path) -> Iterator[Document]:
    """One post per entry (a top-level bullet) of the change log, titled by its version and its first words."""
    if not changelog.is_file():
        return
    for section in re.split(r"^## ", changelog.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        version, _, body = section.partition("\n")
        for entry in re.split(r"^- ", body, flags=re.MULTILINE)[1:]:
            text = re.sub(r"\s+", " ", entry.partition("\n#")[0]).strip()
            title = f"{version.strip()}: {' '.join(text.split()[:8])}"
            yield Document("posts", title, f"CHANGELOG.md#{version.strip()}", UNKNOWN_AUTHOR, text)
