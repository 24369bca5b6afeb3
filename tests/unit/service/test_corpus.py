from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.errors import StartupError
from service.jobs import corpus


def test_a_folder_of_every_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("intro\n# The Title\nbody")
    page = (
        '<html><head><title>Page</title><meta name="author" content="Ada"><script>x()</script></head><p>hi</p></html>'
    )
    (tmp_path / "b.html").write_text(page)
    (tmp_path / "c.txt").write_text("plain")
    rows = [{"text": "row", "collection": "posts", "author": "Grace"}, {"text": "other", "title": "T", "url": "u"}]
    (tmp_path / "d.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    (tmp_path / "ignored.bin").write_bytes(b"\0")
    read = {document.url: document for document in corpus.folder(tmp_path)}
    assert read["sub/a.md"].title == "The Title"
    assert (read["b.html"].title, read["b.html"].author) == ("Page", "Ada")
    assert "hi" in read["b.html"].text
    assert "x()" not in read["b.html"].text
    assert read["c.txt"].text == "plain"
    assert (read["d.jsonl#1"].collection, read["d.jsonl#1"].author) == ("posts", "Grace")
    assert read["u"].title == "T"
    assert len(read) == 5


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"{}", r'a.jsonl#1: a row is an object with a string "text"'),
        ("a.jsonl", b'{"text": "x"}\nnope', r"a.jsonl#2: not JSON"),
        ("a.jsonl", b"[" * 100_000, r"a.jsonl#1: not JSON"),
        ("a.md", b"\xff\xfe", r"a.md: not UTF-8 at byte 0; convert it"),
        ("a.md", b"  \n", r"no text in any .*\.md"),
        ("a.bin", b"x", r"no text in any"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StartupError, match=reason):
        corpus.folder(tmp_path)


def test_odd_but_legal_text_is_read(tmp_path: Path) -> None:
    rows = ['\ufeff{"text": "with a mark"}', '{"text": "line\u2028separator"}', '{"text": "half \\ud800 a character"}']
    (tmp_path / "a.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "b.md").write_text("before ![x](data:image/png;base64," + "iVBORw0KGgo" * 10_000 + ") after")
    texts = [document.text for document in corpus.folder(tmp_path)]
    assert texts == ["with a mark", "line\u2028separator", "half ? a character", "before ![x]() after"]


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="is not a folder"):
        corpus.folder(tmp_path / "absent")


def test_the_demo_corpus_has_the_installed_distributions_with_authors() -> None:
    documents = {document.title: document for document in corpus.demo() if document.collection == "repos"}
    assert documents["supervisor"].author == "Chris McDonough"
    assert "control" in documents["supervisor"].text
    assert len(documents) > 50


def test_the_demo_corpus_has_the_projects_docs_and_change_log(tmp_path: Path) -> None:
    (tmp_path / "docs" / "decisions").mkdir(parents=True)
    (tmp_path / "docs" / "decisions" / "0001-x.md").write_text("# Choose x\nBecause.")
    added = "### Added\n\n- The edge answers\n  offline.\n- Two commands.\n"
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n{added}\n### Fixed\n\n- A typo.\n")
    documents = [document for document in corpus.demo(tmp_path) if document.collection != "repos"]
    assert [document.title for document in documents if document.collection == "articles"] == ["Choose x"]
    posts = [document.text for document in documents if document.collection == "posts"]
    assert sorted(posts) == ["A typo.", "The edge answers offline.", "Two commands."]


def test_badges_are_no_text() -> None:
    readme = "[![ci](https://x/y.svg)](https://x)\n![logo](a.png)\nReal words.\n.. image:: https://x\n   :alt: no\n"
    assert corpus.without_badges(readme).split() == ["Real", "words."]


def test_the_demo_corpus_is_in_a_stable_order() -> None:
    assert [d.url for d in corpus.demo()] == [d.url for d in corpus.demo()]
