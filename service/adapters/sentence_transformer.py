"""The reference models through PyTorch: an embedder and a cross-encoder of the sentence-transformers library.

Heavy, so never in the image: the extra `torch` installs it where somebody wants to compare or to try a model.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from service.errors import StartupError

if TYPE_CHECKING:
    from types import ModuleType

    from service.ports import Vectors

MAX_TOKENS = 512


class SentenceTransformerEmbedder:
    """Embedder port; any model of the library, vectors normalised."""

    def __init__(self, model: Any, *, model_id: str) -> None:  # noqa: ANN401 - the library is optional
        self._model = model
        self._model_id = model_id
        self._dimension = int(model.get_embedding_dimension())
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self.sha256 = _sha256(model)

    @classmethod
    def open(cls, model: str) -> Self:
        """Load `model`, a hub id or a folder.

        Raises:
            StartupError: the extra `torch` is not installed, or there is no such model.
        """
        library = _library("RAG_EMBEDDER")
        return cls(_load(library.SentenceTransformer, model, "RAG_EMBEDDING_MODEL_PATH", device="cpu"), model_id=model)

    @property
    def model_id(self) -> str:
        return self._model_id

    @property
    def dimension(self) -> int:
        return self._dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self._dimension), np.float32)
        return await asyncio.get_running_loop().run_in_executor(self._worker, self.embed_now, texts)

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """The same in the calling thread."""
        vectors: Vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return vectors.astype(np.float32, copy=False)

    def close(self) -> None:
        """Stop the worker thread; a batch that runs is finished first."""
        self._worker.shutdown()


class SentenceTransformerReranker:
    """Reranker port over the library's CrossEncoder."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - the library is optional
        self._model = model
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rerank")

    @classmethod
    def open(cls, model: str) -> Self:
        """Load `model`, a hub id or a folder.

        Raises:
            StartupError: the extra `torch` is not installed, or there is no such model.
        """
        library = _library("RAG_RERANKER")
        options = {"device": "cpu", "max_length": MAX_TOKENS}
        return cls(_load(library.CrossEncoder, model, "RAG_RERANKER_MODEL", **options))

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._worker, self.score_now, query, texts)

    def score_now(self, query: str, texts: Sequence[str]) -> list[float]:
        """The same in the calling thread."""
        pairs = [(query, text) for text in texts]
        scores = np.asarray(self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False))
        return [float(score) for score in (scores[:, 1] - scores[:, 0] if scores.ndim > 1 else scores)]

    def close(self) -> None:
        """Stop the worker thread; a batch that runs is finished first."""
        self._worker.shutdown()


def _library(setting: str) -> ModuleType:
    try:
        import sentence_transformers  # noqa: PLC0415 - seconds, and optional
    except ImportError as exc:
        raise StartupError(
            f"{setting}=sentence-transformers needs the extra `torch` ({exc.name} is missing): "
            f"pip install 'rag-platform[torch]', or set {setting}=onnx"
        ) from exc
    module: ModuleType = sentence_transformers
    return module


def _load(model_class: Any, model: str, setting: str, **options: Any) -> Any:  # noqa: ANN401
    try:
        return model_class(model, **options)
    except (OSError, ValueError) as exc:
        raise StartupError(f"{setting}: {model} can't be loaded: {str(exc).splitlines()[0]}") from exc


def _sha256(model: Any) -> str:  # noqa: ANN401
    """Digest of the weights: a bundle that other weights made is refused."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
