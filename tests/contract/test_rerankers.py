from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.adapters.cross_encoder import OnnxCrossEncoder
from service.errors import StageUnavailable, StartupError
from tests import random_cross_encoder
from tests.contract.contracts import RerankerContract


class OneModel(RerankerContract):
    logits = 1
    flat = False

    @pytest.fixture
    def reranker(self, tmp_path: Path) -> Iterator[OnnxCrossEncoder]:
        adapter = OnnxCrossEncoder.open(random_cross_encoder.save(tmp_path / "m", logits=self.logits, flat=self.flat))
        yield adapter
        adapter.close()


class TestOneLogit(OneModel):
    pass


class TestTwoClasses(OneModel):
    logits = 2


class TestFlatOutput(OneModel):
    flat = True


def open_model(folder: Path, **options: int) -> OnnxCrossEncoder:
    return OnnxCrossEncoder.open(random_cross_encoder.save(folder, **options))


def test_the_score_of_two_classes_is_the_lead_of_the_second(tmp_path: Path) -> None:
    both = open_model(tmp_path / "two", logits=2)
    raw = both._session.run(None, feeds(both, "abc", "xyz"))[0][0]
    assert both.score_now("abc", ["xyz"]) == pytest.approx([raw[1] - raw[0]], abs=1e-5)
    both.close()


def test_a_pair_is_cut_at_512_tokens(tmp_path: Path) -> None:
    model = open_model(tmp_path / "m", logits=1)
    rest = 512 - len("abc") - 3
    assert model.score_now("abc", ["x" * 5000]) == pytest.approx(model.score_now("abc", ["x" * rest]), abs=1e-5)
    assert model.score_now("abc", ["x" * 5000]) != pytest.approx(model.score_now("abc", ["x" * 50]), abs=1e-5)
    model.close()


def test_all_texts_go_through_the_session_in_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batches = open_model(tmp_path / "m", logits=1), []

    class Watched:
        def __init__(self, session: object) -> None:
            self.session = session

        def run(self, names: object, inputs: dict[str, np.ndarray]) -> object:
            batches.append(inputs["input_ids"].shape[0])
            return self.session.run(names, inputs)  # type: ignore[attr-defined]

    monkeypatch.setattr(model, "_session", Watched(model._session))
    assert len(model.score_now("query", ["text"] * 60)) == 60
    assert batches == [60]
    model.close()


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = random_cross_encoder.save(tmp_path / "m", logits=1)
    (folder / missing).unlink()
    with pytest.raises(StartupError, match=rf"RAG_RERANKER_MODEL: .*{missing} does not exist"):
        OnnxCrossEncoder.open(folder)


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json"])
def test_a_corrupt_file_is_refused_in_one_line(tmp_path: Path, broken: str) -> None:
    folder = random_cross_encoder.save(tmp_path / "m", logits=1)
    (folder / broken).write_bytes(b"not it")
    with pytest.raises(StartupError, match=rf"{broken} can't be (loaded|read)") as refused:
        OnnxCrossEncoder.open(folder)
    assert "\n" not in refused.value.detail


def test_a_model_with_other_outputs_is_no_cross_encoder(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="is no cross-encoder"):
        open_model(tmp_path / "m", logits=5)


def test_a_run_that_fails_is_an_unavailable_stage(tmp_path: Path) -> None:
    model = open_model(tmp_path / "m", logits=1)
    model._tokenizer.add_tokens(["[unknown to the model]"])
    with pytest.raises(StageUnavailable, match="reranking: the cross-encoder failed"):
        model.score_now("query", ["[unknown to the model]"])
    model.close()


def feeds(model: OnnxCrossEncoder, query: str, text: str) -> dict[str, np.ndarray]:
    encoding = model._tokenizer.encode(query, text)
    named = {"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}
    return {name: np.array([values], np.int64) for name, values in named.items()}
