"""The service counts an answer's cost with the very rows that a report is made of."""

from decimal import Decimal

import pytest

from opsctl.cost import catalog
from service import prices

MTOK = 1_000_000


@pytest.mark.parametrize("model", prices.OPENAI)
def test_the_services_token_prices_are_the_catalogs(model: str) -> None:
    listed = prices.OPENAI[model]
    rows = catalog.rows(catalog.GLOBAL)
    for direction, usd in (("input", listed.price.input_usd_per_mtok), ("output", listed.price.output_usd_per_mtok)):
        row = rows[f"openai.{model}.{direction}_token"]
        assert row.usd is not None
        assert row.usd * MTOK == usd
        assert (row.as_of, row.source) == (listed.as_of, listed.source)


def test_every_model_of_the_catalog_is_known_to_the_service() -> None:
    models = {
        key.split(".", 1)[1].rpartition(".")[0] for key in catalog.rows(catalog.GLOBAL) if key.startswith("openai.")
    }
    assert models == set(prices.OPENAI)
    assert Decimal(0) not in {each.price.input_usd_per_mtok for each in prices.OPENAI.values()}
