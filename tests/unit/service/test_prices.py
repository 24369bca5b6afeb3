from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.ports import Usage
from service.prices import FREE, MTOK, OPENAI, Prices, TokenPrice
from service.settings import Settings

CATALOG = Path(__file__).parents[3] / "opsctl" / "cost" / "prices" / "global.yaml"
MINI = OPENAI["gpt-4o-mini"].price
OWN = TokenPrice(Decimal(2), Decimal(8))


def settings(**changes: Any) -> Settings:
    return Settings.model_construct(**changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Prices()),
        ({"query_model": "openai"}, Prices(query_model=MINI)),
        ({"query_model": "openai", "openai_model_id": "gpt-4o-mini-2024-07-18"}, Prices(query_model=MINI)),
        ({"query_model": "openai", "openai_model_id": "gpt-unheard-of"}, Prices()),
        ({"query_model": "openai", "openai_base_url": "https://other.example/v1"}, Prices()),
        ({"query_model": "openai", "openai_base_url": "https://api.openai.com/v1"}, Prices(query_model=MINI)),
        ({"query_model": "openai", "query_model_usd_per_mtok": (2, 8)}, Prices(query_model=OWN)),
        ({"generator": "openai"}, Prices(generator=MINI)),
        ({"generator": "openai", "generation_model": "gpt-4.1-mini"}, Prices(generator=OPENAI["gpt-4.1-mini"].price)),
        ({"generator": "openai", "generation_usd_per_mtok": (2, 8)}, Prices(generator=OWN)),
        ({"generator": "sagemaker"}, Prices()),
        ({"generator": "sagemaker", "generation_usd_per_mtok": (2, 8)}, Prices(generator=OWN)),
        ({"generator": "llamacpp", "generation_usd_per_mtok": (2, 8)}, Prices(generator=FREE)),
        (
            {"generator": "llamacpp", "fallback": "sagemaker", "generation_usd_per_mtok": (2, 8)},
            Prices(generator=FREE, fallback=OWN),
        ),
        ({"generator": "llamacpp", "fallback": "service"}, Prices(generator=FREE)),
    ],
)
def test_a_price_is_the_operators_or_the_lists_or_not_known(changes: dict[str, Any], expected: Prices) -> None:
    assert Prices.of(settings(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, []),
        ({"generator": "llamacpp"}, []),
        ({"generator": "openai", "query_model": "openai"}, []),
        ({"generator": "sagemaker"}, ["RAG_GENERATION_USD_PER_MTOK"]),
        ({"generator": "llamacpp", "fallback": "sagemaker"}, ["RAG_GENERATION_USD_PER_MTOK"]),
        (
            {"generator": "openai", "query_model": "openai", "openai_model_id": "x"},
            ["RAG_QUERY_MODEL_USD_PER_MTOK", "RAG_GENERATION_USD_PER_MTOK"],
        ),
        ({"generator": "llamacpp", "fallback": "service"}, ["RAG_FALLBACK"]),
    ],
)
def test_every_paid_model_without_a_price_is_named_by_its_setting(changes: dict[str, Any], missing: list[str]) -> None:
    told = settings(**changes)
    assert [name.partition("=")[0] for name in Prices.of(told).missing(told)] == missing


def test_tokens_are_priced_exactly() -> None:
    assert MINI.of(Usage(1_000, 260)) == Decimal("0.000306")  # two helper calls of gpt-4o-mini


@pytest.mark.parametrize("model", OPENAI)
def test_the_cost_report_uses_the_same_list_prices(model: str) -> None:
    catalog = yaml.safe_load(CATALOG.read_text())["prices"]
    listed = OPENAI[model]
    for direction, usd in (("input", listed.price.input_usd_per_mtok), ("output", listed.price.output_usd_per_mtok)):
        row = catalog[f"openai.{model}.{direction}_token"]
        assert (Decimal(row["usd"]) * MTOK, row["as_of"]) == (usd, listed.as_of)
