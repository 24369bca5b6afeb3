from __future__ import annotations

from service.jobs.cleaning import Dropped
from service.jobs.corpus import Document
from service.jobs.ledger import Ledger, State, complete


def document(text: str = "a text", key: str = "1", **fields: str) -> Document:
    return Document("posts", "t", "u", "a", text, id=key, **fields)


def taken(ledger: Ledger, *documents: Document) -> list[str]:
    return [kept.key for one in documents if (kept := ledger.take(one)) is not None]


def test_a_copy_of_another_document_is_dropped() -> None:
    ledger = Ledger()
    assert taken(ledger, document(), document(key="2"), document(key="3", author_id="other")) == ["1", "3"]
    assert ledger.report()["posts"]["dropped"] == {"copy of another": 1}


def test_two_documents_of_one_key_are_both_kept_apart() -> None:
    ledger = Ledger()
    first, second = taken(ledger, document("one"), document("two"))
    assert first == "1"
    assert second.startswith("1\0")


def test_counts_add_up_where_every_document_is_accounted_for() -> None:
    ledger = Ledger()
    taken(ledger, document("one", "1"), document("two", "2"), document("x", "3"))
    ledger.drop(Dropped("posts", "4", "no text"))
    ledger.keep(document("one", "1"), State("d1", 2))
    ledger.write("posts", "2", State("d2", 3))
    ledger.write("posts", "3", State("d3", 0))
    ledger.held["posts"] = 5
    assert ledger.wrong() == []
    assert ledger.report() == {
        "posts": {
            "read": 4,
            "dropped": {"no text": 1, "too short": 1},
            "documents": 2,
            "chunks": 5,
            "unchanged": 2,
            "written": 3,
            "removed": 0,
            "held": 5,
        }
    }


def test_a_lost_document_and_a_doubled_chunk_are_told() -> None:
    ledger = Ledger()
    taken(ledger, document("one", "1"), document("two", "2"))
    ledger.write("posts", "1", State("d", 2))
    ledger.held["posts"] = 3
    assert ledger.wrong() == [
        "posts: 2 documents were read, 1 are accounted for",
        "posts: the index holds 3 chunks, 2 are expected",
    ]


def test_the_content_is_told_apart_by_any_documents_state() -> None:
    one, two = Ledger(), Ledger()
    one.write("posts", "1", State("d1", 1))
    two.write("posts", "1", State("d2", 1))
    assert one.content("posts") != two.content("posts")


def test_only_a_document_with_all_its_chunks_in_one_state_is_complete() -> None:
    marks = [
        ("whole", "d", 2),
        ("whole", "d", 2),
        ("half", "d", 2),
        ("", "", 0),
        ("edited", "old", 1),
        ("edited", "new", 2),
    ]
    assert complete(marks) == {"whole": State("d", 2), "edited": State("old", 1)}
