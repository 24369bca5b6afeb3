"""What a model is made of, as its config.json says: enough to count its weights and the cache of one token.

Pure. Where the file comes from is in `opsctl.endpoint.model_card`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opsctl.errors import NotUsable

if TYPE_CHECKING:
    from collections.abc import Mapping

Count = Field(ge=1)


class _Quantized(BaseModel):
    """What a quantised checkpoint says of itself."""

    model_config = ConfigDict(extra="ignore")

    quant_method: str


class _Published(BaseModel):
    """The keys of a decoder's config.json that decide its size, by the names that Hugging Face gives them."""

    model_config = ConfigDict(extra="ignore")

    hidden_size: int = Count
    num_hidden_layers: int = Count
    num_attention_heads: int = Count
    num_key_value_heads: int | None = None  # absent: one for each attention head
    head_dim: int | None = None
    intermediate_size: int = Count
    vocab_size: int = Count
    tie_word_embeddings: bool = False
    max_position_embeddings: int | None = None
    num_local_experts: int = Field(default=1, ge=1)
    quantization_config: _Quantized | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a decoder.

    Attributes:
        linear: weights of the layers, which quantisation shrinks.
        embedding: weights of the token tables, which it leaves at 16 bits.
        cached: values that one token leaves in the cache: a key and a value in each layer.
        heads: attention heads; tensor parallelism gives each GPU the same number of them.
        context_limit: tokens that it was made for; None where it doesn't say.
        quantized: how the checkpoint is quantised already; None for a plain one.
    """

    linear: int
    embedding: int
    cached: int
    heads: int
    context_limit: int | None
    quantized: str | None

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.linear + self.embedding


def architecture(model: str, config: Mapping[str, object]) -> Architecture:
    """Read `model`'s config.json.

    Raises:
        NotUsable: it isn't the config of a decoder whose size can be counted; names the keys.
    """
    text = config.get("text_config")
    try:
        found = _Published.model_validate(text if isinstance(text, dict) else config)
    except ValidationError as exc:
        keys = ", ".join(".".join(map(str, error["loc"])) for error in exc.errors(include_input=False))
        raise NotUsable(
            f"the size of {model} can't be counted: its config.json says nothing usable for {keys}",
            next_step="choose generation.instanceType with room to spare, and give --yes",
        ) from exc
    head = found.head_dim or found.hidden_size // found.num_attention_heads
    pairs = found.num_key_value_heads or found.num_attention_heads
    attention = 2 * found.hidden_size * head * (found.num_attention_heads + pairs)
    network = 3 * found.hidden_size * found.intermediate_size * found.num_local_experts
    tables = 1 if found.tie_word_embeddings else 2
    return Architecture(
        linear=found.num_hidden_layers * (attention + network),
        embedding=tables * found.vocab_size * found.hidden_size,
        cached=2 * found.num_hidden_layers * pairs * head,
        heads=found.num_attention_heads,
        context_limit=found.max_position_embeddings,
        quantized=found.quantization_config.quant_method if found.quantization_config else None,
    )
