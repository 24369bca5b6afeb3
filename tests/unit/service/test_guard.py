"""What leaves of a model's text, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rag.guard import Guard
from service.rag.links import REMOVED
from tests.fakes import hit

MARK = "c0ffee12"
SOURCE = "https://example.org/a"
SOURCES = [hit("a"), hit("b", url="https://en.example.org/wiki/B_(set)")]

REMOVED_FROM = {
    "see https://evil.example/x for more": f"see {REMOVED} for more",
    f"![x]({SOURCE}?q=secret)": f"![x]({REMOVED})",
    f"{SOURCE}/../b": REMOVED,
    f"{SOURCE}.evil.example": REMOVED,
    "https://example.org@evil.example/a": REMOVED,
    f"{SOURCE},https://evil.example": REMOVED,
    "[x](//evil.example/p)": f"[x]({REMOVED})",
    "[x]( //evil.example/p )": f"[x]({REMOVED} )",
    "[x](https:evil.example)": f"[x]({REMOVED})",
    "[x](https:\\\\evil.example)": f"[x]({REMOVED})",
    "[x](/\\evil.example)": f"[x]({REMOVED})",
    '<img src="https: //evil.example/p">': f'<img src="{REMOVED}">',
    "www.evil.example/p": REMOVED,
    "HTTPS://EVIL.EXAMPLE": REMOVED,
    "javascript:alert(1)": f"{REMOVED})",
    "data:text/html;base64,AAAA": REMOVED,
    "mailto:eve@evil.example?body=secret": REMOVED,
    "ftp://evil.example": REMOVED,
    "file:/evil": REMOVED,
    "data:,evil": REMOVED,
    "x-evil://evil.example": REMOVED,
    "xhttps://evil.example": REMOVED,
    "[x](&#104;ttps&#58;//evil.example)": REMOVED,
    "https&colon;//evil.example": REMOVED,
    "ht\u200btps://evil.example/p": None,
    "資料はhttps://evil.example/pにあります": f"資料は{REMOVED}",
    "資料はhttps:evil.example": f"資料は{REMOVED}",
    "éwww.evil.example": f"é{REMOVED}",
    "[1]: https://evil.example": f"[1]: {REMOVED}",
}
KEPT = [
    f"see {SOURCE}.",
    f"[the source]({SOURCE})",
    f"<{SOURCE}>, then **{SOURCE}**",
    "https://en.example.org/wiki/B_(set) and (https://en.example.org/wiki/B_(set))",
    "Set http_port: 9001 in supervisord.conf; see a/b/c, key:value, 12:30, C:\\dir and x // comment.",
    "A & B; &lt;tag&gt; stays.",
    "The schemes http: and https: differ; ws: is another.",
    "hotel:yes metadata:x,y profile:a file:line:3 data:3 hypertext-http:x, tel:none; x.file:/y",
    "日本語の文章には空白がありません。",
    "if a <b and b> c",
]


def passed(pieces: list[str]) -> tuple[str, Guard]:
    guard = Guard(SOURCES, MARK)
    return "".join([*map(guard.pass_on, pieces), guard.rest()]), guard


@pytest.mark.parametrize("said", REMOVED_FROM)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_link_to_something_else_than_a_source_does_not_leave(said: str, size: int) -> None:
    text, guard = passed([said[n : n + size] for n in range(0, len(said), size)])
    expected = REMOVED_FROM[said]
    assert "evil" not in text.casefold()
    assert guard.links_removed
    assert expected is None or text == expected


@pytest.mark.parametrize("said", KEPT)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_ordinary_text_and_links_to_sources_leave_as_they_are(said: str, size: int) -> None:
    text, guard = passed([said[n : n + size] for n in range(0, len(said), size)])
    assert (text, guard.links_removed, guard.leaked) == (said, False, False)


@given(st.data())
def test_where_the_pieces_end_makes_no_difference(data: st.DataObject) -> None:
    words = st.sampled_from(
        ["https://evil.example", SOURCE, "https:", "//evil", "www.", "(", ")", " ", "\n", "word", "。", "é", "&#58;",
         "<source", "<source-1 id=", ">", "</", f"</source-{MARK}>", "[1]", "."]
    )  # fmt: skip
    said = "".join(data.draw(st.lists(words, max_size=12)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(said)), max_size=6)))
    pieces = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert passed(pieces)[0] == passed([said])[0]


def test_words_leave_as_soon_as_they_are_whole() -> None:
    guard = Guard(SOURCES, MARK)
    assert [guard.pass_on(piece) for piece in ("Super", "visor ", "runs", " it", "。", "次")] == [
        "", "Supervisor ", "", "runs ", "it。", "次",
    ]  # fmt: skip


@pytest.mark.parametrize("said", [f"My rules: <x-{MARK}> all", f"the mark is {MARK.upper()}.", f"-{MARK}"])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_nothing_leaves_from_the_prompts_mark_on(said: str, size: int) -> None:
    text, guard = passed([piece for n in range(0, len(said), size) for piece in [said[n : n + size]]] + [" and more"])
    assert guard.leaked
    assert MARK not in text.casefold()
    assert "more" not in text


def test_an_echoed_fence_is_no_leak_and_does_not_leave() -> None:
    text, guard = passed(["Yes <sou", f"rce-{MARK} id=", '"1" title="a b">', "it is.", f"</source-{MARK}", ">"])
    assert (text, guard.leaked) == ("Yes it is.", False)


@pytest.mark.parametrize("fence", ["<source 1>", "</source>", '<source-1 id="1" a="b c">'])
@pytest.mark.parametrize("size", [1, 4, 8, 1000])
def test_a_fence_inside_of_an_address_does_not_hide_it(fence: str, size: int) -> None:
    said = f"see https:{fence}//evil.example and [x]({fence} //evil.example )"
    text, guard = passed([said[n : n + size] for n in range(0, len(said), size)])
    assert text == f"see {REMOVED} and [x]({REMOVED} )"
    assert guard.links_removed
