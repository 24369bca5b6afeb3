"""What a release costs beside the one before it, from the configs as the engine's history keeps them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsctl.deploy import price as module
from opsctl.deploy.price import Price, Prices, price
from tests.infra.cloud_cases import DIGEST, config, merged, second_phase, stack_file


def kept(**more: Any) -> dict[str, str]:
    """The plain part of a deployed config, as the engine's history has it: strings, and no secret."""
    told = merged(stack_file("prod"), second_phase(**more))
    del told["secrets"]
    spelled = {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
    return {key if ":" in key else f"rag-platform:{key}": value for key, value in spelled.items()}


def test_the_difference_is_that_of_the_two_configs() -> None:
    wanted = config("prod", second_phase(service={"cpu": 4, "memoryGiB": 8}))
    same = price("prod", kept(service={"cpu": 4, "memoryGiB": 8}), wanted)
    assert same.before == same.after, "the secrets that the history withholds are counted too"
    grown = price("prod", kept(), wanted)
    assert grown.before is not None
    assert grown.after is not None
    assert grown.after > grown.before > 1000
    assert f"({grown.after - grown.before:+.2f})" in str(grown)


def test_a_first_release_has_nothing_before_it() -> None:
    found = price("prod", None, config("prod", second_phase()))
    assert (found.before, "USD a month" in str(found), "->" in str(found)) == (None, True, False)


def test_releases_that_differ_in_their_image_alone_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    worked_out = module.estimate
    monkeypatch.setattr(module, "estimate", lambda cfg: calls.append(cfg) or worked_out(cfg))
    prices = Prices("prod", config("prod", second_phase()))
    other = DIGEST.replace("0" * 64, "2" * 64)
    assert prices.of(kept()) == prices.of(kept(service={"image": other}))
    assert len(calls) == 1
    first_phase = {**kept(), "rag-platform:service": "{}"}
    assert prices.of(first_phase) != prices.of(kept())


def test_a_config_of_another_version_has_no_price() -> None:
    assert Prices("prod", config("prod", second_phase())).of({"rag-platform:colour": "red"}) is None
    assert str(Price(None, None, "no catalog")) == "cost unknown: no catalog"
