"""docs/topologies.md has every key of the stack config and every stack output, and no other."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic.alias_generators import to_camel

import infra.delivery
from infra.config import StackConfig, parse
from infra.delivery import Delivery
from tests.infra.config_keys import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = (Path(__file__).parents[2] / "docs" / "topologies.md").read_text()
LEAST = {
    "topology": "ecs",
    "aws:region": "eu-north-1",
    "domain": {"name": "api.example.com", "zone": "example.com"},
    "scaling": {"schedule": {}},
}


def rows(heading: str) -> dict[str, str]:
    """First cell, without its backticks, and the second cell of the table below a heading."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.MULTILINE))


def names(part: type[Any], before: str = "") -> Iterator[str]:
    for field in fields(part):
        name = f"{before}{to_camel(field.name)}"
        inner = vars(infra.delivery).get(str(field.type).partition(" | ")[0])  # `Logs` of "Logs | None"
        if isinstance(inner, type) and is_dataclass(inner):
            yield from names(inner, f"{name}.")
        else:
            yield name


def test_every_key_of_the_stack_config_has_its_line() -> None:
    assert sorted(rows("Keys")) == sorted(keys(StackConfig))


@pytest.mark.parametrize(("key", "said"), [(key, said) for key, said in rows("Keys").items() if said.startswith("`")])
def test_a_default_is_the_one_that_the_program_takes(key: str, said: str) -> None:
    value: Any = parse(LEAST, stack="acme").model_dump(mode="json", by_alias=True)
    for part in key.replace("<name>", "default").split("."):
        value = value[part]
    spelled = json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
    assert said.strip("`") in [value, spelled]


def test_every_stack_output_has_its_line() -> None:
    assert sorted(rows("Outputs")) == sorted(names(Delivery))
