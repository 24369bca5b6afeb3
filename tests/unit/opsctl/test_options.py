"""What an option takes, of all commands alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import pytest

from opsctl.cli import COMMANDS, load
from opsctl.commands.options import FileToWrite, Finite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.opsctl.conftest import PlayedService, Run

REPORTS = [("smoke-test", "--junit"), ("load-test", "--html"), ("cost-report", "--out")]


Place = tuple[tuple[str, ...], click.Option]
"""The words of a command, and one of its options."""


def options(command: click.Command, path: tuple[str, ...]) -> Iterator[Place]:
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from options(below, (*path, name))
    yield from ((path, option) for option in command.params if isinstance(option, click.Option))


OPTIONS = [each for name in COMMANDS for each in options(load(name), (name,))]
NUMBERS = [each for each in OPTIONS if isinstance(each[1].type, click.types.FloatParamType)]
STACKS = [path for path, option in OPTIONS if "--stack" in option.opts]


@pytest.mark.parametrize("path", STACKS, ids=" ".join)
def test_an_empty_name_is_no_stack(path: tuple[str, ...], opsctl: Run) -> None:
    for name in ("", " "):
        ended = opsctl(*path, "--stack", name)
        assert (ended.code, ended.out) == (2, "")
        assert "'--stack': it is empty: name a stack" in ended.err
        assert len(ended.err.splitlines()) == 1


def test_every_command_of_a_stack_was_asked() -> None:
    assert len(STACKS) > 30


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    ("path", "option"), NUMBERS, ids=[f"{' '.join(path)} {each.opts[0]}" for path, each in NUMBERS]
)
def test_what_is_no_finite_number_is_one_line_and_code_2(
    path: tuple[str, ...], option: click.Option, value: str, opsctl: Run
) -> None:
    assert isinstance(option.type, Finite)
    ended = opsctl(*path, option.opts[-1], value)
    assert (ended.code, ended.out) == (2, "")
    assert option.opts[-1] in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(("command", "flag"), REPORTS)
def test_a_report_that_can_not_be_written_is_told_before_anything_is_done(
    command: str, flag: str, opsctl: Run, service: PlayedService, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "queries.txt").write_text("What is Rich?\n")
    more = [] if command == "cost-report" else ["--url", service.url]
    more += ["--queries", str(tmp_path / "queries.txt")] if command == "load-test" else []
    for file in (tmp_path / "nowhere" / "x", tmp_path / "file" / "x", tmp_path):
        ended = opsctl(command, *more, flag, str(file))
        assert (ended.code, ended.out, service.requests) == (2, "", [])
        assert flag in ended.err
        assert len(ended.err.splitlines()) == 1


def test_a_file_to_write_may_be_new_or_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.html").write_text("old")
    for name in ("new.html", "old.html", "/dev/null"):
        assert str(FileToWrite().convert(name, None, None)) == name
