from __future__ import annotations

from typing import Any

import pytest

from service.jobs.cleaning import Dropped, clean, full_name
from service.jobs.corpus import UNKNOWN_AUTHOR, Document

LONG = "The Analytical Engine weaves algebraic patterns as the loom weaves flowers."
USERS = {"7": {"_id": 7, "fullName": " Ada  Lovelace "}, "8": {"first_name": "Alan", "last_name": "Turing"}}


def cleaned(collection: str, **fields: Any) -> Document:
    document = clean(collection, {"_id": "x", "content": LONG} | fields, USERS)
    assert isinstance(document, Document), document
    return document


def dropped(collection: str, **fields: Any) -> str:
    refused = clean(collection, {"_id": "x"} | fields, USERS)
    assert isinstance(refused, Dropped), refused
    assert (refused.collection, refused.key) == (collection, "x")
    return refused.reason


def test_a_document_has_its_id_its_author_and_where_it_is_from() -> None:
    assert cleaned("posts", author_id=7, link="https://example.org/p", title="Looms") == Document(
        collection="posts",
        title="Looms",
        url="https://example.org/p",
        author="Ada Lovelace",
        text=LONG,
        markup="text",
        id="x",
        author_id="7",
    )


@pytest.mark.parametrize(
    ("fields", "author", "author_id"),
    [
        ({"author_id": 8}, "Alan Turing", "8"),
        ({"authorId": "7"}, "Ada Lovelace", "7"),
        ({"author_id": "gone", "author_full_name": "Grace Hopper"}, "Grace Hopper", "gone"),
        ({"author": "Grace Hopper"}, "Grace Hopper", "Grace Hopper"),
        ({}, UNKNOWN_AUTHOR, UNKNOWN_AUTHOR),
    ],
)
def test_the_author_is_the_users_name_else_what_the_document_says(
    fields: dict[str, Any], author: str, author_id: str
) -> None:
    document = cleaned("articles", **fields)
    assert (document.author, document.author_id) == (author, author_id)


def test_a_user_without_a_name_has_none() -> None:
    assert full_name({"_id": 1}) == ""


def test_sections_of_an_article_are_its_text_and_name_it() -> None:
    document = cleaned(
        "articles", content={"Title": "Looms", "Subtitle": "A history", "Content": f"<p>{LONG}</p><script>x()</script>"}
    )
    assert document.title == "Looms"
    assert document.text == f"Looms\n\nA history\n\n{LONG}"


def test_a_repo_is_its_readme_and_what_people_wrote_in_it() -> None:
    files = {
        "src/engine.py": "def weave(): ...",
        "README.md": f"# Engine\n[![badge](https://img)](https://ci)\n{LONG}",
        "package-lock.json": "{}",
        "node_modules/left/pad.js": "x",
        "logo.png": "binary",
        "app.min.js": "x" * 5000,
    }
    text = cleaned("repos", name="engine", content=files).text
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## README.md", "## src/engine.py"]
    assert "badge" not in text


@pytest.mark.parametrize(
    "content",
    [[{"path": "a.py", "content": LONG}], {"src": {"a.py": LONG}}, {"a.py": LONG}],
    ids=["list", "nested", "flat"],
)
def test_files_of_a_repo_may_be_stored_in_any_shape(content: Any) -> None:
    assert LONG in cleaned("repos", content=content).text


def test_a_text_is_tidied() -> None:
    messy = f"\ufeff{LONG}\r\n\r\n\r\n\r\n\x00cafe\u0301\u200b data:image/png;base64,AAAA \t\n"
    assert cleaned("articles", content=messy).text == f"{LONG}\n\ncaf\u00e9"


def test_a_post_without_a_title_is_named_by_its_first_words() -> None:
    assert cleaned("posts").title == "The Analytical Engine weaves algebraic patterns as the"


def test_a_collection_of_ones_own_is_read_like_articles() -> None:
    assert cleaned("talks", content={"Content": LONG}).text == LONG


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "no text"),
        ({"content": ""}, "no text"),
        ({"content": {}}, "no text"),
        ({"content": " \n "}, "no text"),
        ({"content": "hi"}, "too short"),
        ({"content": 42}, "content is no text"),
        ({"content": b"\x00\x01"}, "content is no text"),
        ({"content": "\ufffd\ufffd\ufffd" + LONG}, "not UTF-8"),
    ],
)
def test_a_document_without_a_text_is_dropped_and_the_reason_said(fields: dict[str, Any], reason: str) -> None:
    assert dropped("posts", **fields) == reason


def test_one_bad_byte_in_a_long_text_is_left_out() -> None:
    assert cleaned("posts", content=LONG + "\ufffd " + LONG).text == f"{LONG} {LONG}"
