"""What a token costs: list prices with their date and source, and what the operator set instead.

A price that is not known is None, never 0; what runs on this machine is free. Cached input is cheaper and is counted at
the full rate, so what is counted is never below the bill.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from service.ports import Usage

if TYPE_CHECKING:
    from service.settings import Settings

MTOK = 1_000_000
OPENAI_HOST = "https://api.openai.com/"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # a dated model costs what its family does


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per million tokens."""

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal

    def of(self, usage: Usage) -> Decimal:
        """USD for that many tokens."""
        counted = usage.input_tokens * self.input_usd_per_mtok + usage.output_tokens * self.output_usd_per_mtok
        return counted / MTOK


@dataclass(frozen=True, slots=True)
class Listed:
    """A vendor's list price, without tax."""

    price: TokenPrice
    as_of: date
    source: str


FREE = TokenPrice(Decimal(0), Decimal(0))
OPENAI = {
    "gpt-4o-mini": Listed(
        TokenPrice(Decimal("0.15"), Decimal("0.60")), date(2026, 6, 1), "several price pages that agree"
    ),
    "gpt-4.1-mini": Listed(TokenPrice(Decimal("0.40"), Decimal("1.60")), date(2026, 4, 1), "Deploybase, Aumiqx"),
}


@dataclass(frozen=True, slots=True)
class Prices:
    """Of each model that a request may call; None where it is not known."""

    query_model: TokenPrice | None = None
    generator: TokenPrice | None = None
    fallback: TokenPrice | None = None

    @classmethod
    def of(cls, settings: Settings) -> Prices:
        """What the operator set, else the list's."""
        generation = _set(settings.generation_usd_per_mtok)
        generators = {
            "llamacpp": FREE,
            "openai": generation or listed(settings.generation_model or settings.openai_model_id, settings),
            "sagemaker": generation,  # rented by the hour: what a token costs depends on how many there are
        }
        asking = _set(settings.query_model_usd_per_mtok) or listed(settings.openai_model_id, settings)
        return cls(
            query_model=asking if settings.query_model == "openai" else None,
            generator=generators.get(settings.generator),
            fallback=generators.get(settings.fallback),
        )

    def missing(self, settings: Settings) -> list[str]:
        """For every paid model without a price, the setting that says it."""
        by_generation = "RAG_GENERATION_USD_PER_MTOK=<input>,<output>"
        checks = {
            "RAG_QUERY_MODEL_USD_PER_MTOK=<input>,<output>": settings.query_model != "none" and not self.query_model,
            by_generation: (settings.generator != "none" and not self.generator)
            or (settings.fallback == "sagemaker" and not self.fallback),
            "RAG_FALLBACK=none, since what another service spends is limited there": settings.fallback == "service",
        }
        return [setting for setting, wanted in checks.items() if wanted]


def listed(model: str, settings: Settings) -> TokenPrice | None:
    """OpenAI's list price, where the model is called at OpenAI itself."""
    if settings.openai_base_url is not None and not settings.openai_base_url.startswith(OPENAI_HOST):
        return None
    found = OPENAI.get(_SNAPSHOT.sub("", model))
    return found.price if found else None


def _set(pair: tuple[Decimal, Decimal] | None) -> TokenPrice | None:
    return TokenPrice(*pair) if pair else None
