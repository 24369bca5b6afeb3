"""A cross-encoder with random weights, saved as a folder that the adapter opens: small, and always the same.

Embeddings of tokens and segments are averaged over the mask and projected to logits, so that padding changes nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *(chr(code) for code in range(ord("a"), ord("z") + 1)))
WIDTH = 8
OPSET = 17


def save(folder: Path, *, logits: int, flat: bool = False, seed: int = 7) -> Path:
    """Output of shape (n, logits), or (n,) where `flat`."""
    folder.mkdir(parents=True)
    onnx.save(_model(logits, flat=flat, seed=seed), folder / "model.onnx")
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", VOCABULARY.index("[CLS]")), ("[SEP]", VOCABULARY.index("[SEP]"))],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _model(logits: int, *, flat: bool, seed: int) -> onnx.ModelProto:
    random = np.random.default_rng(seed)
    weights = {
        "words": random.standard_normal((len(VOCABULARY), WIDTH)).astype(np.float32),
        "segments": random.standard_normal((2, WIDTH)).astype(np.float32),
        "head": random.standard_normal((WIDTH, logits)).astype(np.float32),
        "last": np.array([2], np.int64),
        "middle": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["word"]),
        helper.make_node("Gather", ["segments", "token_type_ids"], ["segment"]),
        helper.make_node("Mul", ["word", "segment"], ["token"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["token", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["column", "middle"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["pooled"]),
        helper.make_node("MatMul", ["pooled", "head"], ["scores" if flat else "logits"]),
    ]
    if flat:
        nodes.append(helper.make_node("Squeeze", ["scores", "middle"], ["logits"]))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    shape = ["n"] if flat else ["n", logits]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "cross-encoder",
        inputs,
        [output],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model
