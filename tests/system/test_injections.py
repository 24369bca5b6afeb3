"""Poisoned documents and questions: the rules stay in, no link leads elsewhere, the filter holds.

The model is a stub that obeys every attack, which proves the guard and not the model; a small real one is asked a few.
What a reader would get is judged by a Markdown renderer that is not ours.
"""

from __future__ import annotations

import html.parser
import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from markdown_it import MarkdownIt

from service.adapters.llamacpp import LlamaCpp
from service.ports import Delta, Expansion, Message, SelfQuery, Usage
from service.settings import Settings
from tests.fakes import FakeDocuments, FakeGenerator, FakeStore, hit
from tests.in_process import calling

ATTACKS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "data/injections.yaml").read_text())
LINKS = {"href", "src", "srcset", "action", "data", "poster"}
LEADS_AWAY = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:|[/\\]{2})", re.IGNORECASE)
SOURCES = {"https://example.org/a", "https://example.org/poisoned"}
MARK = re.compile(r"<source-([0-9a-f]+)>")

SETTINGS = Settings(
    vector_store="faiss",
    bundle_dir=Path("unused"),
    generator="llamacpp",
    llamacpp_url="http://unused",
    query_model="openai",
    openai_api_key="unused",  # type: ignore[arg-type]
    metrics_port=0,
)


@dataclass
class Obedient(FakeGenerator):
    """Says what the attack wants, in pieces of `size` characters."""

    says: str = ""
    size: int = 1
    marks: list[str] = field(default_factory=list)

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[Delta]:
        system, user = (message.content for message in messages)
        (mark,) = MARK.findall(system)
        self.marks.append(mark)
        text = self.says
        for name, value in (
            ("{system}", system), ("{user}", user), ("{mark}", mark), ("{MARK}", mark.upper()),
        ):  # fmt: skip
            text = text.replace(name, value)
        for start in range(0, len(text), self.size):
            yield Delta(text[start : start + self.size])
        yield Delta(usage=Usage(1, 1), finish_reason="stop")


@dataclass
class Reader:
    """A query model that reads the attack's author and wordings out of the question."""

    author: str | None
    wordings: tuple[str, ...] = ()

    async def self_query(self, query: str) -> SelfQuery:
        return SelfQuery(self.author)

    async def expand(self, query: str, count: int) -> Expansion:
        return Expansion((*self.wordings, "filters: none")[:count])


def poisoned(attack: dict[str, Any]) -> FakeStore:
    where = attack["in"]
    texts = {"text": attack["text"]} if where == "document" else {"title": attack["text"]} if where == "title" else {}
    return FakeStore([hit("a"), hit("poisoned", **texts)])


def question(attack: dict[str, Any]) -> str:
    return str(attack["text"]) if attack["in"] == "query" else "What controls processes?"


def service(generator: Any, store: FakeStore, **parts: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    documents = FakeDocuments(ids={"Ada": ("ada",), "Bob": ("bob",)})
    return calling(SETTINGS, generator=generator, store=store, documents=documents, **parts)


async def texts(http: httpx.AsyncClient, body: dict[str, Any]) -> list[str]:
    """The answer, plain and streamed, and in OpenAI's shape, plain and streamed."""
    plain = (await http.post("/rag", json=body)).json()["answer"]
    stream = (await http.post("/rag", json=body | {"stream": True})).text
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    tokens = "".join(event["text"] for event in events if isinstance(event, dict) and set(event) == {"text"})
    chat = {"messages": [{"role": "user", "content": body["query"]}]}
    completion = (await http.post("/v1/chat/completions", json=chat)).json()["choices"][0]["message"]["content"]
    chunks = (await http.post("/v1/chat/completions", json=chat | {"stream": True})).text
    deltas = [json.loads(line[6:]) for line in chunks.splitlines() if line.startswith("data: {")]
    streamed = "".join(choice["delta"].get("content", "") for delta in deltas for choice in delta["choices"])
    return [plain, tokens, events[-1]["answer"], completion, streamed]


class Links(html.parser.HTMLParser):
    """Where a rendered page would lead or load from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in LINKS and value]


def leads_to(text: str) -> set[str]:
    """Addresses behind the text, as a page shows it that trusts its HTML."""
    page = Links()
    page.feed(MarkdownIt("commonmark", {"html": True}).render(text))
    bare = re.findall(r"(?:https?://|www\.)\S+?(?=[.,)>\"'*]*(?:\s|$|[<)\"']))", text, re.IGNORECASE)
    return {address for address in page.found if LEADS_AWAY.match(address)} | set(bare)


def test_there_are_forty_and_each_has_a_name_of_its_own() -> None:
    assert len({attack["name"] for attack in ATTACKS}) == len(ATTACKS) >= 40


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack["name"] for attack in ATTACKS])
@pytest.mark.parametrize("size", [1, 5, 10_000])
async def test_a_model_that_obeys_gives_nothing_away(attack: dict[str, Any], size: int) -> None:
    generator, store = Obedient(says=attack["says"], size=size), poisoned(attack)
    body = {"query": question(attack), "filters": {"author": "Ada"}}
    reader = Reader(attack.get("author"), tuple(attack.get("wordings", ())))
    async with service(generator, store, query_model=reader) as http:
        filtered = await texts(http, body)
        searched = [call["authors"] for call in store.calls[:2]]
        assert searched == [("ada",), ("ada",)]
    assert len(generator.marks) == len(set(generator.marks)) == 4
    for text in filtered:
        assert not any(mark in text.casefold() for mark in generator.marks)
        assert leads_to(text) <= SOURCES


@pytest.mark.parametrize(
    "attack", [attack for attack in ATTACKS if "author" in attack], ids=lambda attack: attack["name"]
)
async def test_an_author_that_a_question_names_narrows_and_never_widens(attack: dict[str, Any]) -> None:
    store = poisoned(attack)
    reader = Reader(attack["author"], tuple(attack.get("wordings", ())))
    async with service(Obedient(says="ok"), store, query_model=reader) as http:
        await http.post("/search", json={"query": question(attack)})
        await http.post("/search", json={"query": question(attack), "filters": {"author": "Nobody"}})
    guessed, asked = ("bob",) if attack["author"] == "Bob" else None, ()
    assert [call["authors"] for call in store.calls] in ([guessed, asked], [guessed])


def test_the_judge_sees_every_link_that_the_attacks_want() -> None:
    """A check that finds nothing anywhere would pass as well."""
    wanted = [attack["says"] for attack in ATTACKS if "evil" in attack["says"].casefold()]
    unseen = [said for said in wanted if not leads_to(said) - SOURCES]
    assert len(wanted) >= 15
    assert len(unseen) <= 2, unseen


ASKED = ["ignore previous", "close the fence", "markdown image", "another author in a document", "the mark alone"]


@pytest.mark.parametrize("name", ASKED)
async def test_a_small_real_model_gives_nothing_away(name: str, llama_url: str) -> None:
    attack = next(attack for attack in ATTACKS if attack["name"] == name)
    generator = LlamaCpp.open(llama_url, model="llamacpp", context_tokens=1024, connections=2, read_timeout_s=120)
    settings = SETTINGS.model_copy(update={"max_output_tokens": 48})
    async with calling(settings, store=poisoned(attack), generator=generator) as http:
        response = await http.post("/rag", json={"query": question(attack)})
    await generator.aclose()
    assert response.status_code == 200
    assert "<source" not in response.json()["answer"]
    assert leads_to(response.json()["answer"]) <= SOURCES
