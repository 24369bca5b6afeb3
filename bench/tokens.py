"""Prompt tokens per question on the demo corpus: what the service sends, against every candidate in a chatty frame.

Counted by the tokenizer of the embedding model (WordPiece); a chat model's own counts differ by some percent, the
ratio hardly.
"""

from __future__ import annotations

import asyncio
from statistics import median, quantiles
from typing import TYPE_CHECKING

from demo import open_demo, questions
from figures import Figure, Report, main, report
from tokenizers import Tokenizer

from service.adapters.onnx_minilm import OnnxMiniLM
from service.rag import prompt
from service.settings import Settings
from tests.fakes import FakeGenerator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.ports import Hit

INSTRUCTION = """You are a helpful, honest and knowledgeable assistant. You will be given a question from a user and a \
number of context documents that were retrieved from a knowledge base. Read all of the context documents carefully, \
think step by step about which of them are relevant to the question, and then write a complete, accurate and \
well-structured answer. Only use information that is contained in the context documents. If the context documents do \
not contain enough information to answer the question, say that you don't know, and do not try to make up an answer. \
Always mention the documents that you used by giving their number in square brackets after each statement."""
ANSWER_TOKENS = 256


class Counter(FakeGenerator):
    """A generator that counts with a real tokenizer and is never asked to generate."""

    def __init__(self, tokenizer: Tokenizer, context_tokens: int) -> None:
        super().__init__(context_tokens=context_tokens)
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Without the marks around a whole text, which a prompt has once."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def run() -> Report:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    embedder = OnnxMiniLM.open(threads=1)
    store = open_demo(embedder)
    counter = Counter(embedder.tokenizer, defaults["context_tokens"])
    before, after = [], []
    for question in questions():
        vector = embedder.embed_now([question])
        hits = store.search_now(vector, defaults["collections"], defaults["candidates"])[0]
        before.append(asyncio.run(counter.count_tokens([_naive(question, hits)]))[0])
        after.append(asyncio.run(_built(question, hits[: defaults["top_k"]], counter)))
    store.close()
    embedder.close()
    figures = [
        Figure("prompt tokens before, median", median(before), "tokens"),
        Figure("prompt tokens after, median", median(after), "tokens"),
        Figure("prompt tokens after, p95", quantiles(after, n=20)[18], "tokens"),
        Figure("after / before, median", median(a / b for a, b in zip(after, before, strict=True)), "x"),
    ]
    details = {
        "questions": len(before),
        "candidates": defaults["candidates"],
        "topK": defaults["top_k"],
        "contextTokens": defaults["context_tokens"],
        "beforeOverContext": sum(tokens + ANSWER_TOKENS > defaults["context_tokens"] for tokens in before),
        "systemTokens": asyncio.run(counter.count_tokens([prompt.SYSTEM]))[0],
    }
    return report(
        "How many tokens does a question cost before the answer?", figures, details=details, versions=("tokenizers",)
    )


def _naive(question: str, hits: Sequence[Hit]) -> str:
    documents = "\n\n".join(
        f"Context document {n}\nTitle: {hit.title}\nAuthor: {hit.author}\nURL: {hit.url}\nContent: {hit.text}"
        for n, hit in enumerate(hits, start=1)
    )
    return f"{INSTRUCTION}\n\nContext documents:\n\n{documents}\n\nUser question: {question}\n\nAnswer:"


async def _built(question: str, hits: Sequence[Hit], counter: Counter) -> int:
    built = await prompt.build(question, hits, counter, max_tokens=ANSWER_TOKENS)
    return sum(await counter.count_tokens([message.content for message in built.messages]))


if __name__ == "__main__":
    main(run)
