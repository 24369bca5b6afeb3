from __future__ import annotations

import pytest

from service.rag import answer
from tests.fakes import hit

SUPERVISOR = hit("supervisor", text="Supervisor lets its users control a number of processes on UNIX systems.")
FAISS = hit("faiss", text="Faiss is a library for similarity search of dense vectors.")


@pytest.mark.parametrize(
    ("text", "expected", "citations"),
    [
        ("It controls processes [1].", "It controls processes [1].", (1,)),
        ("Both [2] and [1], again [2].", "Both [2] and [1], again [2].", (2, 1)),
        ("It controls processes [1] [7].", "It controls processes [1].", (1,)),
        ("Both [1, 2] at once.", "Both [1, 2] at once.", (1, 2)),
        ("Both [1, 9] at once.", "Both [1] at once.", (1,)),
        ("It controls processes[1].", "It controls processes[1].", (1,)),
        ("Two marks [2][1].", "Two marks [2][1].", (2, 1)),
        ("Use arr[5] = 1 [1].", "Use arr[5] = 1 [1].", (1,)),
        ("Nothing to cite [0].", "Nothing to cite.", ()),
        ('<source id="4" title="faiss">\nFaiss [2]</source>', "Faiss [2]", (2,)),
        ("", "", ()),
    ],
)
def test_only_marks_of_existing_sources_survive(text: str, expected: str, citations: tuple[int, ...]) -> None:
    assert answer.check(text, [SUPERVISOR, FAISS]) == answer.Checked(expected, citations)


def test_an_unmarked_answer_is_attributed_to_the_source_it_is_taken_from() -> None:
    checked = answer.check("Faiss is a library for similarity search.", [SUPERVISOR, FAISS])
    assert checked == answer.Checked("Faiss is a library for similarity search. [2]", (2,))


def test_each_sentence_finds_its_own_origin() -> None:
    text = (
        "Faiss does similarity search of dense vectors.\nSupervisor lets users control processes. Bananas are yellow."
    )
    assert answer.check(text, [SUPERVISOR, FAISS]) == answer.Checked(f"{text} [1] [2]", (1, 2))


def test_a_sentence_of_few_words_is_attributed_to_nobody() -> None:
    assert answer.check("It is Faiss.", [SUPERVISOR, FAISS]).citations == ()


def test_an_invalid_mark_does_not_stop_attribution() -> None:
    assert answer.check("Faiss does similarity search of vectors [9]", [SUPERVISOR, FAISS]).citations == (2,)


def test_an_answer_that_no_source_supports_stays_unmarked() -> None:
    checked = answer.check("Moby Dick was written by Herman Melville.", [SUPERVISOR, FAISS])
    assert checked == answer.Checked("Moby Dick was written by Herman Melville.", ())


def test_without_sources_every_mark_goes() -> None:
    assert answer.check("Certainly [1].", []) == answer.Checked("Certainly.", ())
