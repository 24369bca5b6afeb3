"""Real text that every installation has, as a MongoDB of the guide's collections: users, posts, articles, repos.

Repos are the sources of installed distributions by path, articles their READMEs, posts the docstrings of their modules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from service.jobs import corpus

MOST_FILE_CHARS = 6_000
FILES = 3
LEAST_POST_CHARS = 200
DATABASE = "rag"
CHARS_PER_CHUNK = 380  # of these texts, on average


def fill(url: str, *, chunks: int, files: int = FILES, database: str = DATABASE) -> dict[str, int]:
    """Insert documents that are cut into about `chunks`, with `files` of a repo; how many of them, by collection."""
    client: MongoClient[dict[str, Any]] = MongoClient(url)
    users: dict[str, int] = {}
    counts = {"posts": 0, "articles": 0, "repos": 0}
    left = chunks * CHARS_PER_CHUNK
    for collection, document, author in _documents(files):
        if author not in users:
            users[author] = len(users) + 1
            client[database]["users"].insert_one({"_id": users[author], "fullName": author})
        counts[collection] += 1
        document |= {"_id": f"{collection[0]}{counts[collection]}", "author_id": users[author]}
        client[database][collection].insert_one(document)
        left -= _size(document["content"])
        if left <= 0:
            break
    client.close()
    return counts


def _documents(files: int) -> Iterator[tuple[str, dict[str, Any], str]]:
    """In turn, so that any number of them has all three kinds."""
    readmes = {document.title: document for document in corpus.demo() if document.collection == "repos"}
    for name, readme in sorted(readmes.items()):
        sources = _sources(name, files)
        yield "articles", {"title": name, "link": readme.url, "content": {"Content": readme.text}}, readme.author
        if sources:
            yield "repos", {"name": name, "link": readme.url, "content": sources}, readme.author
        for path, text in sources.items():
            if len(said := _docstring(text)) >= LEAST_POST_CHARS:
                yield "posts", {"content": said, "link": f"{readme.url}#{path}", "platform": "python"}, readme.author


def _sources(name: str, most: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in metadata.files(name) or ():
        path = Path(str(file.locate()))
        if len(found) == most or path.suffix != ".py" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")[:MOST_FILE_CHARS]
        if len(text) > LEAST_POST_CHARS:
            found[str(file)] = text
    return found


def _docstring(text: str) -> str:
    try:
        return ast.get_docstring(ast.parse(text)) or ""
    except (SyntaxError, ValueError):  # cut at MOST_FILE_CHARS
        return ""


def _size(content: str | dict[str, str]) -> int:
    return len(content) if isinstance(content, str) else sum(map(len, content.values()))
