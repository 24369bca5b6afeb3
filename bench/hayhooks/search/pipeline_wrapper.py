"""The peer of bench/peers.py: hayhooks serving Haystack's embedding retrieval over the same texts, vectors and model.

Runs in the environment of peers.txt; RAG_BENCH_EXPORT names the folder that bench/peers.py wrote.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from hayhooks import BasePipelineWrapper
from haystack import Document, Pipeline, component
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from tokenizers import Tokenizer


@component
class OnnxTextEmbedder:
    """Haystack's text embedder over one ONNX Runtime session, set up as the service sets up its own."""

    def __init__(self, model: str, tokenizer: str, max_tokens: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(tokenizer)
        self._tokenizer.enable_truncation(max_tokens)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        """Mean-pooled unit vector of one text."""
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], np.int64)
        mask = np.array([encoding.attention_mask], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feeds)[0][0]
        pooled = hidden.mean(axis=0)
        return {"embedding": (pooled / np.linalg.norm(pooled)).tolist()}


class PipelineWrapper(BasePipelineWrapper):
    """What hayhooks serves as POST /search/run."""

    def setup(self) -> None:
        """Load the export and build the pipeline."""
        export = Path(os.environ["RAG_BENCH_EXPORT"])
        settings = json.loads((export / "settings.json").read_text(encoding="utf-8"))
        store = InMemoryDocumentStore(embedding_similarity_function="dot_product")  # of unit vectors: their cosine
        with (export / "chunks.jsonl").open(encoding="utf-8") as lines:
            store.write_documents([Document(**json.loads(line)) for line in lines])
        self.top_k = settings["topK"]
        self.pipeline = Pipeline()
        self.pipeline.add_component(
            "embedder", OnnxTextEmbedder(settings["model"], str(export / "tokenizer.json"), settings["maxTokens"])
        )
        self.pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=self.top_k))
        self.pipeline.connect("embedder.embedding", "retriever.query_embedding")

    def run_api(self, query: str) -> list[dict[str, Any]]:
        """Nearest texts, best first; hayhooks runs it in a worker thread."""
        found = self.pipeline.run({"embedder": {"text": query}})["retriever"]["documents"]
        return [{"id": hit.id, "score": hit.score, "text": hit.content, **hit.meta} for hit in found]
