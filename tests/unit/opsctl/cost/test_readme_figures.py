"""The README's cost table and chart are what the commands beside them print."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.infra.cloud_cases import ROOT
from tests.unit.opsctl.conftest import Ended

Run = Callable[..., Ended]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ opsctl (cost-report .*--format markdown)$", README, re.MULTILINE)


def test_there_is_a_table_and_a_chart() -> None:
    assert len(COMMANDS) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_readme_shows_is_what_is_printed(opsctl: Run, command: str) -> None:
    printed = opsctl(*command.split()).out
    table = "\n".join(line for line in printed.splitlines() if line.startswith("|"))
    chart = re.search(r"^```mermaid$.*?^```$", printed, re.MULTILINE | re.DOTALL)
    assert chart is not None
    assert (chart[0] if "--sweep" in command else table) in README, f"put what `opsctl {command}` prints into README.md"
