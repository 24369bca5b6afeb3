from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.accelerators import GPU_INSTANCES
from opsctl.endpoint.architecture import architecture
from opsctl.endpoint.fit import fit, need, smallest
from opsctl.errors import NotUsable

LLAMA_8B: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
LLAMA_70B = LLAMA_8B | {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
QWEN_HALF_B: dict[str, Any] = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 32768,
}


def awq(config: dict[str, Any]) -> dict[str, Any]:
    return config | {"quantization_config": {"quant_method": "awq", "bits": 4}}


@pytest.mark.parametrize(
    ("config", "billions"),
    [(LLAMA_8B, 8.03), (LLAMA_70B, 70.55), (QWEN_HALF_B, 0.494)],
    ids=["Llama 3.1 8B", "Llama 3.1 70B", "Qwen 2.5 0.5B"],
)
def test_the_weights_are_those_that_the_publisher_counts(config: dict[str, Any], billions: float) -> None:
    assert architecture("m", config).parameters / 1e9 == pytest.approx(billions, rel=0.002)


@pytest.mark.parametrize(
    ("config", "quantization", "gib"),
    [
        (LLAMA_8B, "none", 14.96),  # as published: four files of 16.06 GB
        (LLAMA_8B, "fp8", 8.46),  # the published FP8 checkpoint has 9.08 GB
        (awq(LLAMA_8B), "awq", 5.4),  # the published AWQ checkpoint has 5.7 GB
    ],
)
def test_quantisation_shrinks_the_layers_and_not_the_token_tables(
    config: dict[str, Any], quantization: str, gib: float
) -> None:
    assert need(architecture("m", config), quantization, 4096, 1).weights_gib == pytest.approx(gib, rel=0.02)


def test_one_context_of_llama_takes_half_a_gib_of_cache() -> None:
    assert need(architecture("m", LLAMA_8B), "none", 4096, 1).cache_gib == pytest.approx(0.5)


VERDICTS = [
    ("ml.g5.2xlarge", LLAMA_8B, "none", 4096, None),
    ("ml.g5.2xlarge", LLAMA_8B, "none", 65536, "needs 24.5 GiB of GPU memory, and 20.2 are usable"),
    ("ml.g5.2xlarge", LLAMA_8B, "fp8", 65536, None),
    ("ml.g4dn.xlarge", LLAMA_8B, "none", 4096, "GPU memory"),
    ("ml.g4dn.xlarge", LLAMA_8B, "fp8", 4096, "a T4 has no kernels for fp8"),
    ("ml.g4dn.xlarge", awq(LLAMA_8B), "awq", 4096, None),
    ("ml.g5.2xlarge", LLAMA_8B, "awq", 4096, "made when weights are published, and these are plain"),
    ("ml.g5.2xlarge", awq(LLAMA_8B), "none", 4096, "published as awq"),
    ("ml.g5.2xlarge", QWEN_HALF_B, "none", 65536, "made for 32768 tokens"),
    ("ml.g5.12xlarge", QWEN_HALF_B, "none", 4096, "14 attention heads can't be shared out evenly over 4 GPUs"),
    ("ml.g5.12xlarge", LLAMA_70B, "none", 4096, "GPU memory"),
    ("ml.g6e.12xlarge", LLAMA_70B, "none", 4096, None),
]


@pytest.mark.parametrize(("instance_type", "config", "quantization", "tokens", "problem"), VERDICTS)
def test_the_verdict_says_why_a_model_does_not_fit(
    instance_type: str, config: dict[str, Any], quantization: str, tokens: int, problem: str | None
) -> None:
    verdict = fit(architecture("m", config), instance_type, quantization, tokens)
    assert verdict is not None
    assert (verdict.problem is None) == (problem is None), verdict
    assert (problem or "") in (verdict.problem or "")
    assert (verdict.contexts >= 1) or verdict.problem is not None


def test_quantisation_moves_the_model_to_a_smaller_instance() -> None:
    assert smallest(architecture("m", LLAMA_8B), "none", 4096) == "ml.g5.xlarge"
    assert smallest(architecture("m", awq(LLAMA_8B)), "awq", 4096) == "ml.g4dn.xlarge"
    assert smallest(architecture("m", LLAMA_70B), "none", 4096) == "ml.g6e.12xlarge"
    assert smallest(architecture("m", awq(LLAMA_70B)), "awq", 4096) == "ml.g6e.xlarge"


def test_an_instance_type_that_is_not_in_the_table_gets_no_verdict() -> None:
    assert fit(architecture("m", LLAMA_8B), "ml.inf2.xlarge", "none", 4096) is None


@given(
    instance_type=st.sampled_from(sorted(GPU_INSTANCES)),
    tokens=st.integers(512, 131072),
    quantization=st.sampled_from(["none", "fp8", "bitsandbytes", "eetq"]),
)
def test_what_fits_a_long_context_fits_a_shorter_one_and_the_smallest_type_fits(
    instance_type: str, tokens: int, quantization: str
) -> None:
    model = architecture("m", LLAMA_8B)
    verdict = fit(model, instance_type, quantization, tokens)
    shorter = fit(model, instance_type, quantization, tokens // 2)
    assert verdict is not None
    assert shorter is not None
    assert verdict.problem is not None or shorter.problem is None
    assert verdict.smallest is not None
    chosen = fit(model, verdict.smallest, quantization, tokens)
    assert chosen is not None
    assert chosen.problem is None


def test_a_config_that_is_not_a_decoders_is_refused_by_its_missing_keys() -> None:
    with pytest.raises(NotUsable, match="intermediate_size, vocab_size"):
        architecture("m", {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1})
