"""Cuts documents into passages of whole sentences or sections, counted in the embedding model's own tokens."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from service.bundle import Chunk

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from service.jobs.corpus import Document

CHUNK_TOKENS = 160
OVERLAP_TOKENS = 24
SHORTEST_CHARS = 24  # a heading on its own answers nothing
_NAMESPACE = uuid.UUID("6f1d6f2e-63b8-5c0e-9d5e-4f3f6f1c2a77")


class Splitter:
    """Token-bounded chunks with overlap and ids that depend on nothing but the text and where it is from."""

    def __init__(self, tokenizer: Tokenizer, *, tokens: int = CHUNK_TOKENS, overlap: int = OVERLAP_TOKENS) -> None:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter  # noqa: PLC0415
        from tokenizers import Tokenizer as HfTokenizer  # noqa: PLC0415

        counting = HfTokenizer.from_str(tokenizer.to_str())
        counting.no_truncation()
        counting.no_padding()
        self._splitters: dict[str, Any] = {
            "text": TextSplitter.from_huggingface_tokenizer(counting, tokens, overlap),
            "markdown": MarkdownSplitter.from_huggingface_tokenizer(counting, tokens, overlap),
        }

    def split(self, document: Document) -> list[Chunk]:
        """Chunks in reading order, the summary first where there is one."""
        cut = self._splitters[document.markup].chunks(document.text)
        texts = cut if len(cut) == 1 else [text for text in cut if len(text) >= SHORTEST_CHARS]
        numbered = [*([("summary", document.summary)] if document.summary else []), *enumerate(texts)]
        return [
            Chunk(
                id=str(uuid.uuid5(_NAMESPACE, f"{document.collection}\0{document.key}\0{n}\0{text}")),
                collection=document.collection,
                author=document.author,
                title=document.title,
                url=document.url,
                text=text,
            )
            for n, text in numbered
        ]
