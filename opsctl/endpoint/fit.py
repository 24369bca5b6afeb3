"""Whether a model fits an instance's GPUs, in numbers. Pure: sizes in, a verdict out.

Needed: the weights, the key-value cache of one full context, and what an engine keeps for its activations and CUDA
graphs. There: the share of the GPUs' memory that the engine may take. The rest of it becomes cache for more requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.accelerators import GPU_INSTANCES
from infra.sizing import GPU_USABLE

if TYPE_CHECKING:
    from infra.accelerators import GpuInstance
    from opsctl.endpoint.architecture import Architecture

GIB = 2**30
WIDE_BYTES = 2  # 16 bit
# Bytes of one quantised weight with its share of the scales: one 16-bit scale and zero point to 128 weights for awq and
# gptq, one 32-bit scale to 64 for bitsandbytes' NF4; fp8 and int8 scale by row, which adds next to nothing.
LINEAR_BYTES = {"none": 2.0, "fp8": 1.0, "eetq": 1.0, "awq": 0.53, "gptq": 0.53, "bitsandbytes": 0.56}
# Compute capability from which the engines have kernels: fp8 as weights only from Ampere on, the others from Turing.
CAPABILITY = {"none": 7.0, "fp8": 8.0, "eetq": 7.5, "awq": 7.5, "gptq": 7.5, "bitsandbytes": 7.5}
IN_CHECKPOINT = ("awq", "gptq")  # the weights are published so; the engine can't make them while it loads
OVERHEAD_GIB = 1.5  # per GPU: activations of a full prefill and CUDA graphs; vLLM reports 0.5 to 1.5 for 8B models


@dataclass(frozen=True, slots=True)
class Need:
    """GPU memory that a model needs, in GiB, over all GPUs."""

    weights_gib: float
    cache_gib: float
    overhead_gib: float

    @property
    def gib(self) -> float:
        """All of it."""
        return self.weights_gib + self.cache_gib + self.overhead_gib


@dataclass(frozen=True, slots=True)
class Fit:
    """The verdict.

    Attributes:
        usable_gib: what the engine may take of the GPUs' memory.
        contexts: full contexts that fit in the cache beside each other.
        problem: why it doesn't fit; None where it does.
        smallest: the smallest instance type that it fits on; None where there is none.
    """

    need: Need
    usable_gib: float
    contexts: int
    problem: str | None
    smallest: str | None


def need(model: Architecture, quantization: str, context_tokens: int, gpus: int) -> Need:
    """What `model` needs on so many GPUs."""
    method = model.quantized if model.quantized in LINEAR_BYTES else quantization
    weights = model.linear * LINEAR_BYTES[method or "none"] + model.embedding * WIDE_BYTES
    return Need(weights / GIB, context_tokens * model.cached * WIDE_BYTES / GIB, OVERHEAD_GIB * gpus)


def fit(model: Architecture, instance_type: str, quantization: str, context_tokens: int) -> Fit | None:
    """Judge `model` on `instance_type`; None where the instance type isn't in the table."""
    instance = GPU_INSTANCES.get(instance_type)
    if instance is None:
        return None
    needed = need(model, quantization, context_tokens, instance.count)
    usable = instance.gib * GPU_USABLE
    spare = usable - needed.weights_gib - needed.overhead_gib
    return Fit(
        need=needed,
        usable_gib=usable,
        contexts=max(0, int(spare / needed.cache_gib)),
        problem=_problem(model, instance, quantization, context_tokens),
        smallest=smallest(model, quantization, context_tokens),
    )


def smallest(model: Architecture, quantization: str, context_tokens: int) -> str | None:
    """The instance type with the least GPU memory, then the least host memory, that `model` fits on."""
    by_size = sorted(GPU_INSTANCES.items(), key=lambda item: (item[1].gib, item[1].host_gib))
    fitting = (name for name, each in by_size if _problem(model, each, quantization, context_tokens) is None)
    return next(fitting, None)


def _problem(model: Architecture, instance: GpuInstance, quantization: str, context_tokens: int) -> str | None:
    needed, usable = need(model, quantization, context_tokens, instance.count), instance.gib * GPU_USABLE
    limits = (
        (
            context_tokens <= (model.context_limit or context_tokens),
            f"it was made for {model.context_limit} tokens, generation.contextTokens asks for {context_tokens}",
        ),
        (
            instance.gpu.capability >= CAPABILITY[quantization],
            f"a {instance.gpu.name} has no kernels for {quantization}",
        ),
        (
            model.heads % instance.count == 0,
            f"its {model.heads} attention heads can't be shared out evenly over {instance.count} GPUs",
        ),
        (needed.gib <= usable, f"it needs {needed.gib:.1f} GiB of GPU memory, and {usable:.1f} are usable"),
    )
    exceeded = next((problem for holds, problem in limits if not holds), None)
    return _mismatch(model.quantized, quantization) or exceeded


def _mismatch(published: str | None, quantization: str) -> str | None:
    if quantization in IN_CHECKPOINT and published != quantization:
        return f"quantization {quantization} is made when weights are published, and these are {published or 'plain'}"
    if published in LINEAR_BYTES and published != quantization:
        return f"its weights are published as {published}, generation.quantization says {quantization}"
    return None
