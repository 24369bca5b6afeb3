from __future__ import annotations

import sys

import pytest

from service.adapters.sentence_transformer import SentenceTransformerEmbedder, SentenceTransformerReranker
from service.errors import StartupError
from service.ports import Embedder
from tests.contract.conftest import Library
from tests.contract.contracts import EmbedderContract


class TestOnnxMiniLM(EmbedderContract):
    @pytest.fixture
    def embedder(self, library: Library) -> Embedder:
        return library.embedder


@pytest.mark.parametrize("adapter", [SentenceTransformerEmbedder, SentenceTransformerReranker])
def test_without_the_extra_the_refusal_names_it(
    adapter: type[SentenceTransformerEmbedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)  # as where it is not installed
    with pytest.raises(StartupError, match=r"needs the extra `torch`.*pip install") as refused:
        adapter.open("sentence-transformers/all-MiniLM-L6-v2")
    assert "\n" not in refused.value.detail
