"""What the container of each engine reads from its environment. Pure; one function per engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opsctl.endpoint.instances import computes_in_bfloat16, gpus
from opsctl.endpoint.spec import BucketModel
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.endpoint.spec import EndpointSpec

MOUNTED = "/opt/ml/model"  # where SageMaker puts a model data source
# awq and gptq are in the checkpoint: vLLM finds them there and takes its fastest kernel; a flag would force a slow one.
WHILE_LOADING = ("fp8", "bitsandbytes")
TGI_NAMES = {"bitsandbytes": "bitsandbytes-nf4"}  # 4 bits, as vLLM's; TGI's plain name is the slow 8-bit one
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL", re.IGNORECASE)


def container_environment(spec: EndpointSpec) -> dict[str, str]:
    """The environment of the model's container; what `spec.environment` says wins.

    Raises:
        NotUsable: it holds a secret. Everybody who may call DescribeModel could read it.
    """
    secrets = [name for name, _ in spec.environment if SECRET.search(name)]
    if secrets:
        raise NotUsable(
            f"{', '.join(secrets)} would be readable in the model's description",
            next_step=f"copy the gated model with `opsctl model upload {spec.source.model}`, and leave it out",
        )
    return {**ENGINES[spec.engine](spec), **_offline(spec), **dict(spec.environment)}


def _vllm(spec: EndpointSpec) -> dict[str, str]:
    """`SM_VLLM_<FLAG>` becomes `--flag` (AWS vLLM container)."""
    found = {"SM_VLLM_MODEL": _weights(spec), "SM_VLLM_MAX_MODEL_LEN": str(spec.context_tokens)}
    if gpus(spec.instance_type) > 1:
        found["SM_VLLM_TENSOR_PARALLEL_SIZE"] = str(gpus(spec.instance_type))
    if not computes_in_bfloat16(spec.instance_type):
        found["SM_VLLM_DTYPE"] = "half"  # vLLM refuses the models' own bfloat16 there instead of falling back
    if spec.quantization in WHILE_LOADING:
        found["SM_VLLM_QUANTIZATION"] = spec.quantization
    return found


def _tgi(spec: EndpointSpec) -> dict[str, str]:
    found = {
        "HF_MODEL_ID": _weights(spec),
        "SM_NUM_GPUS": str(gpus(spec.instance_type)),
        "MAX_INPUT_TOKENS": str(spec.context_tokens - 1),  # TGI wants it below the total
        "MAX_TOTAL_TOKENS": str(spec.context_tokens),
    }
    if spec.quantization != "none":
        found["HF_MODEL_QUANTIZE"] = TGI_NAMES.get(spec.quantization, spec.quantization)
    return found


def _weights(spec: EndpointSpec) -> str:
    return MOUNTED if isinstance(spec.source, BucketModel) else spec.source.model


def _offline(spec: EndpointSpec) -> dict[str, str]:
    return {"HF_HUB_OFFLINE": "1"} if isinstance(spec.source, BucketModel) else {}


ENGINES: dict[str, Callable[[EndpointSpec], dict[str, str]]] = {"vllm": _vllm, "tgi": _tgi}
