"""A cross-encoder on ONNX Runtime: question and passage read together, one logit per pair, one batch per call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from service.adapters.onnx_session import open_session
from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

STAGE = "reranking"
MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
MAX_TOKENS = 512  # positions of the BERT-sized encoders that the MS MARCO models are
INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
PAD_TOKENS = ("[PAD]", "<pad>")
BINARY = 2


class OnnxCrossEncoder:
    """Reranker port over one ONNX Runtime session and its own worker thread."""

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = [entry.name for entry in session.get_inputs()]
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rerank")

    @classmethod
    def open(cls, folder: Path, *, threads: int = 1) -> Self:
        """Load `model.onnx` and `tokenizer.json` of `folder`.

        Raises:
            StartupError: a file is missing or corrupt, or the model is no cross-encoder.
        """
        for name in (MODEL, TOKENIZER):
            if not (folder / name).is_file():
                raise StartupError(
                    f"RAG_RERANKER_MODEL: {folder / name} does not exist; give a folder with {MODEL} and {TOKENIZER} "
                    "(the image holds one where it was built with a reranker), or set RAG_RERANKER=none"
                )
        session = _open_session(folder / MODEL, threads)
        unknown = {entry.name for entry in session.get_inputs()} - INPUTS
        outputs = [entry.shape for entry in session.get_outputs()]
        if unknown or not outputs or not _is_logits(outputs[0]):
            raise StartupError(
                f"RAG_RERANKER_MODEL: {folder / MODEL} is no cross-encoder: it takes {sorted(unknown) or 'token ids'} "
                f"and gives {outputs}; its output must be one or two logits per pair"
            )
        return cls(session, _open_tokenizer(folder / TOKENIZER))

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The logit of relevance, unbounded; of a model with two classes the second's lead over the first."""
        if not texts:
            return []
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self.score_now, query, texts)

    def score_now(self, query: str, texts: Sequence[str]) -> list[float]:
        """The same in the calling thread."""
        encodings = self._tokenizer.encode_batch([(query, text) for text in texts])
        feeds = {
            "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings], np.int64),
        }
        try:
            raw = self._session.run(None, {name: feeds[name] for name in self._inputs})[0]
        except Exception as exc:  # ONNX Runtime raises its own unexported classes
            raise StageUnavailable(STAGE, f"the cross-encoder failed: {str(exc).splitlines()[0]}") from exc
        logits: NDArray[np.float32] = np.asarray(raw, np.float32).reshape(len(texts), -1)
        scores = logits[:, 1] - logits[:, 0] if logits.shape[1] == BINARY else logits[:, 0]
        return [float(score) for score in scores]

    def close(self) -> None:
        """Stop the worker thread; a batch that runs is finished first."""
        self._worker.shutdown()


def _is_logits(shape: Sequence[int | str | None]) -> bool:
    return len(shape) == 1 or (len(shape) == BINARY and (not isinstance(shape[1], int) or shape[1] <= BINARY))


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    try:
        return open_session(path, threads)
    except Exception as exc:  # as above
        raise StartupError(f"RAG_RERANKER_MODEL: {path} can't be loaded: {str(exc).splitlines()[0]}") from exc


def _open_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415 - as above

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as exc:  # tokenizers raises bare Exception
        raise StartupError(f"RAG_RERANKER_MODEL: {path} can't be read: {exc}") from exc
    tokenizer.enable_truncation(MAX_TOKENS)
    pad = next((token for token in PAD_TOKENS if tokenizer.token_to_id(token) is not None), PAD_TOKENS[0])
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad) or 0, pad_token=pad)
    return tokenizer
