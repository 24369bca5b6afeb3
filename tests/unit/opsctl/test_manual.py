"""The manual is the commands, every command says how it is used, and a shell completes them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from opsctl import errors
from opsctl.cli import COMMANDS, load
from opsctl.manual import EXIT_CODES, manual

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

MANUAL = Path(__file__).parents[3] / "docs" / "opsctl.md"
OPSCTL = str(Path(sys.executable).with_name("opsctl"))


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, f"{path} {name}")
    else:
        yield path, command


EVERY = [each for name in COMMANDS for each in leaves(load(name), name)]


def test_the_manual_is_what_the_commands_say() -> None:
    assert MANUAL.read_text() == manual(), "run `make manual`"


def test_every_exit_code_of_an_error_is_in_the_manual() -> None:
    codes = {each.exit_code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")}
    assert codes <= EXIT_CODES.keys()


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[path for path, _ in EVERY])
def test_every_command_has_an_example_of_itself(path: str, command: click.Command) -> None:
    assert f"opsctl {path}" in (command.help or "").partition("Example")[2]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script(opsctl: Run, shell: str) -> None:
    ended = opsctl("completion", shell)
    assert (ended.code, "_OPSCTL_COMPLETE" in ended.out) == (0, True)


def test_bash_completes_a_command_and_an_option(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(subprocess.run([OPSCTL, "completion", "bash"], capture_output=True, text=True, check=True).stdout)
    asked = f". {script}; COMP_WORDS=(opsctl {{}}); COMP_CWORD={{}}; _opsctl_completion opsctl; "
    asked += 'echo "${{COMPREPLY[*]}}"'
    known = os.environ | {"PATH": f"{Path(OPSCTL).parent}:{os.environ['PATH']}"}

    def completed(words: str, at: int) -> set[str]:
        command = ["/bin/bash", "-c", asked.format(words, at)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=known)
        return set(done.stdout.split())

    assert completed("sta", 1) == {"status"}
    assert {"--stack", "--output"} <= completed("status --", 2)
