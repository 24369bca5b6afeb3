from __future__ import annotations

import pytest

from opsctl.endpoint.engines import container_environment
from opsctl.endpoint.spec import BucketModel
from opsctl.errors import NotUsable
from tests.unit.opsctl.endpoint.specs import CLASSIC, changed

MODEL = "mlabonne/TwinLlama-3.1-8B-DPO"


def test_the_engine_is_told_model_gpus_and_context() -> None:
    spec = changed(CLASSIC, instance_type="ml.g5.12xlarge", context_tokens=8192)
    assert container_environment(spec) == {
        "SM_VLLM_MODEL": MODEL,
        "SM_VLLM_MAX_MODEL_LEN": "8192",
        "SM_VLLM_TENSOR_PARALLEL_SIZE": "4",
    }
    assert container_environment(changed(spec, engine="tgi")) == {
        "HF_MODEL_ID": MODEL,
        "SM_NUM_GPUS": "4",
        "MAX_INPUT_TOKENS": "8191",
        "MAX_TOTAL_TOKENS": "8192",
    }


@pytest.mark.parametrize(
    ("quantization", "vllm", "tgi"),
    [
        ("none", None, None),
        ("fp8", "fp8", "fp8"),
        ("awq", None, "awq"),  # vLLM reads it off the checkpoint and chooses the kernel
        ("gptq", None, "gptq"),
        ("bitsandbytes", "bitsandbytes", "bitsandbytes-nf4"),
        ("eetq", None, "eetq"),  # the stack config refuses it with vLLM
    ],
)
def test_quantisation_is_spelled_as_each_engine_has_it(quantization: str, vllm: str | None, tgi: str | None) -> None:
    spec = changed(CLASSIC, quantization=quantization)
    assert container_environment(spec).get("SM_VLLM_QUANTIZATION") == vllm
    assert container_environment(changed(spec, engine="tgi")).get("HF_MODEL_QUANTIZE") == tgi


@pytest.mark.parametrize(
    ("instance_type", "dtype"), [("ml.g4dn.xlarge", "half"), ("ml.g5.2xlarge", None), ("ml.g9.xlarge", None)]
)
def test_a_gpu_without_bfloat16_is_given_half_precision(instance_type: str, dtype: str | None) -> None:
    assert container_environment(changed(CLASSIC, instance_type=instance_type)).get("SM_VLLM_DTYPE") == dtype


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "SM_VLLM_API_KEY", "db_password"])
@pytest.mark.parametrize("source", [CLASSIC.source, BucketModel(MODEL, "s3://weights/m/")])
def test_a_secret_in_the_environment_is_refused_without_being_shown(name: str, source: object) -> None:
    with pytest.raises(NotUsable, match=f"{name} would be readable.*opsctl model upload {MODEL}") as refused:
        container_environment(changed(CLASSIC, source=source, environment=((name, "hf_abcdef"),)))
    assert "hf_abcdef" not in str(refused.value)
