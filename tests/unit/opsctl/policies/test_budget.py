"""An estimate over the budget is refused with the lines that make it so, and no secret is shown."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from infra.errors import ConfigErrors
from opsctl.policies import budget
from tests.infra import cloud_cases

TODAY = dt.date(2026, 11, 26)


def handed(**more: Any) -> dict[str, str]:
    """A stack file as the engine hands it to a policy."""
    tree = cloud_cases.merged(cloud_cases.stack_file("prod"), more)
    named = {key if ":" in key else f"rag-platform:{key}": value for key, value in tree.items()}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in named.items()} | {
        "rag-platform:secrets": json.dumps({"openaiApiKey": "sk-planted-planted"})
    }


def judged(**more: Any) -> str | None:
    cfg = budget.config_of(handed(**more), "prod")
    resources = [
        budget.declared(each.type, each.name, each.urn, each.inputs) for each in cloud_cases.program("prod").resources
    ]
    return budget.verdict(cfg, resources, TODAY)


def test_a_stack_within_its_budget_passes() -> None:
    assert judged(budget={"monthlyUsd": 2000}) is None


def test_a_stack_over_its_budget_is_told_its_three_largest_lines() -> None:
    said = judged(budget={"monthlyUsd": 1000})
    assert said is not None
    assert "over its budget of 1,000.00: endpoint twin/sagemaker.host.ml.g5.2xlarge.hour 1,153.40; " in said
    assert said.count(".hour ") + said.count("_hour ") + said.count(".month ") == 3
    assert "`opsctl cost-report --stack prod --optimise` shows how" in said


def test_a_region_without_prices_is_refused_with_the_command_that_reads_them() -> None:
    said = judged(**{"budget": {"monthlyUsd": 2000}, "aws:region": "eu-west-1"})
    assert said is not None
    assert said.startswith("the estimate can't be made: no prices for region 'eu-west-1'")
    assert "`opsctl prices refresh --region eu-west-1 --write`" in said


def test_a_secret_that_the_engine_opens_for_a_policy_is_neither_refused_nor_shown() -> None:
    assert budget.config_of(handed(), "prod").secrets.openai_api_key is not None
    with pytest.raises(ConfigErrors) as raised:
        budget.config_of(handed(secretz={"openaiApiKey": "sk-planted-planted"}), "prod")
    assert "planted" not in str(raised.value)
