"""all-MiniLM-L6-v2 on ONNX Runtime: mean pooling over the attention mask, then L2 norm, 384 dimensions.

Concurrent calls are answered in one batch each time the session is free (micro-batching without an added wait).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from service.adapters import packaged
from service.adapters.onnx_session import open_session
from service.errors import StartupError

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Tokenizer

    from service.ports import Vectors

MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
DIMENSION = 384
MAX_TOKENS = 256  # the model card's max_seq_length
MAX_BATCH = 32  # throughput is flat beyond it, memory is not
# With their padding, in one run. Attention's buffers grow with them and stay: 32 texts of 256 tokens at once took
# 1.3 GiB, in runs of 512 tokens 0.1 GiB and less time.
MAX_BATCH_TOKENS = 512


class OnnxMiniLM:
    """Embedder port over one ONNX Runtime session and its own worker thread."""

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, *, sha256: str) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = [entry.name for entry in session.get_inputs()]
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Vectors]]] = []
        self._draining: asyncio.Task[None] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self.sha256 = sha256

    @classmethod
    def open(cls, *, model: Path | None = None, tokenizer: Path | None = None, threads: int = 1) -> Self:
        """Load the model and its tokenizer; the installed packages' files where no path is given.

        Raises:
            StartupError: a file is missing, corrupt, or not a MiniLM.
        """
        session, sha256 = _open_session(model, threads)
        outputs = session.get_outputs()
        if not outputs or outputs[0].shape[-1] != DIMENSION:
            raise StartupError(
                f"embedding model {model}: last axis is not {DIMENSION}; give an all-MiniLM-L6-v2 export"
            )
        return cls(session, _open_tokenizer(tokenizer), sha256=sha256)

    @property
    def model_id(self) -> str:
        return MODEL_ID

    @property
    def dimension(self) -> int:
        return DIMENSION

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer, truncating at MAX_TOKENS."""
        return self._tokenizer

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed in order; calls that arrive while the session is busy share its next batch."""
        if not texts:
            return np.empty((0, DIMENSION), np.float32)
        future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, future))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await future

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """Embed in the calling thread; texts are grouped by length, so that padding costs little."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        for rows in _batches([sum(encoding.attention_mask) for encoding in encodings]):
            vectors[rows] = self._run([encodings[row] for row in rows])
        return vectors

    def close(self) -> None:
        """Stop the worker thread; a batch that runs is finished first."""
        self._worker.shutdown()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            taken: list[tuple[Sequence[str], asyncio.Future[Vectors]]] = []
            size = 0
            while self._waiting and (not taken or size + len(self._waiting[0][0]) <= MAX_BATCH):
                taken.append(self._waiting.pop(0))
                size += len(taken[-1][0])
            taken = [(texts, future) for texts, future in taken if not future.done()]  # its caller has left
            merged = [text for texts, _ in taken for text in texts]
            try:
                vectors = await loop.run_in_executor(self._worker, self.embed_now, merged) if merged else None
            except Exception as exc:  # noqa: BLE001 - handed to every caller that waits for this batch
                for _, future in taken:
                    if not future.done():
                        future.set_exception(exc)
                continue
            offset = 0
            for texts, future in taken:
                if vectors is not None and not future.done():
                    future.set_result(vectors[offset : offset + len(texts)])
                offset += len(texts)

    def _run(self, encodings: Sequence[Any]) -> Vectors:
        longest = max(sum(encoding.attention_mask) for encoding in encodings)
        ids = np.array([encoding.ids[:longest] for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask[:longest] for encoding in encodings], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: feeds[name] for name in self._inputs})[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        normed: Vectors = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)
        return normed


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of similar length together, the shortest first; no run has over MAX_BATCH rows or MAX_BATCH_TOKENS."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and (len(rows) == MAX_BATCH or (len(rows) + 1) * lengths[row] > MAX_BATCH_TOKENS):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _open_session(model: Path | None, threads: int) -> tuple[onnxruntime.InferenceSession, str]:
    if model is not None and not model.is_file():
        raise StartupError(f"RAG_EMBEDDING_MODEL_PATH: {model} does not exist")
    path = model or packaged.verified_path(packaged.MINILM_ONNX_INT8)
    sha256 = packaged.sha256_of(model) if model else packaged.MINILM_ONNX_INT8.sha256
    try:
        session = open_session(path, threads)
    except Exception as exc:  # ONNX Runtime raises its own unexported classes
        raise StartupError(f"embedding model {path} can't be loaded: {str(exc).splitlines()[0]}") from exc
    return session, sha256


def _open_tokenizer(path: Path | None) -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415 - as above

    if path is None:
        content = packaged.verified_bytes(packaged.MINILM_TOKENIZER)
    elif path.is_file():
        content = path.read_bytes()
    else:
        raise StartupError(f"RAG_TOKENIZER_PATH: {path} does not exist")
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as exc:  # tokenizers raises bare Exception
        digest = hashlib.sha256(content).hexdigest()[:12]
        raise StartupError(f"tokenizer (sha256 {digest}...) can't be read: {exc}") from exc
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return tokenizer
