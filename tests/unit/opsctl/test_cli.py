from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsctl import cli
from opsctl.errors import CheckFailed, CloudRefused, NotUsable, OpsctlError, RolledBack, TimedOut

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import Run

LOADED = """
import json, sys
before = set(sys.modules)
from opsctl.cli import main
main({args!r})
names = {{name.partition('.')[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(names - set(sys.stdlib_module_names))), file=sys.stderr)
"""


def third_party_imports(*args: str, **environ: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(args=list(args))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def complete(words: str, index: int) -> list[str]:
    environ = {**os.environ, "_OPSCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    command = [sys.executable, "-c", "from opsctl.cli import main; main()"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environ).stdout.split()


def test_help_imports_click_alone() -> None:
    assert third_party_imports("--help") == {"click", "opsctl"}


def test_a_wrong_command_imports_click_alone() -> None:
    assert third_party_imports("deploi") == {"click", "opsctl"}


def test_help_of_the_group_says_every_command_and_the_exit_codes(opsctl: Run) -> None:
    ended = opsctl("--help")
    assert ended.code == 0
    for name, (_, short_help) in cli.COMMANDS.items():
        assert name in ended.out
        assert short_help[:40] in ended.out
    assert "5 rolled\n" in ended.out or "5 rolled back" in ended.out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_listed_command_loads_under_its_name_and_shows_help_with_an_example(name: str, opsctl: Run) -> None:
    assert cli.load(name).name == name
    ended = opsctl(name, "--help")
    assert ended.code == 0
    assert f"opsctl {name}" in ended.out.partition("Example")[2]


def test_no_command_shows_help_on_stderr_and_is_a_usage_error(opsctl: Run) -> None:
    ended = opsctl()
    assert (ended.code, ended.out) == (2, "")
    assert "smoke-test" in ended.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("deploi",), "deploi"),
        (("--nope",), "--nope"),
        (("smoke-test", "--nope"), "see `opsctl smoke-test --help`"),
        (("smoke-test", "--url", "ftp://x"), "ftp://x"),
        (("smoke-test", "--url", "http://[::1"), "http://[::1"),
        (("smoke-test", "--url", "http://127.0.0.1:99999"), "127.0.0.1:99999"),
        (("smoke-test", "--url", "http://127.0.0.1:http"), "127.0.0.1:http"),
        (("smoke-test", "--url", "http://127.0.0.1:0"), "127.0.0.1:0"),
        (("smoke-test", "--url", "http://xn--"), "http://xn--"),
        (("smoke-test", "--url", "http://"), "http://"),
        (("deploy", "--stack", "dev", "--url", "http://[::1"), "http://[::1"),
        (("smoke-test", "--timeout", "0"), "--timeout"),
        (("smoke-test", "--timeout", "nan"), "--timeout"),
        (("smoke-test", "--timeout", "inf"), "--timeout"),
        (("deploy", "--stack", "dev", "--settle-timeout", "nan"), "--settle-timeout"),
        (("smoke-test", "--output", "xml"), "xml"),
        (("smoke-test", "--golden", "/does/not/exist"), "/does/not/exist"),
    ],
)
def test_a_usage_error_is_one_line_and_code_2(args: tuple[str, ...], said: str, opsctl: Run) -> None:
    ended = opsctl(*args)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(CheckFailed, 1), (NotUsable, 2), (CloudRefused, 3), (TimedOut, 4), (RolledBack, 5)],
)
def test_an_error_says_what_and_what_next_in_one_line_and_ends_with_its_code(
    error: type[OpsctlError], code: int, opsctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("the bucket\nis gone", next_step="create it")

    monkeypatch.setattr(cli.cli, "callback", fail)
    ended = opsctl("doctor")
    assert (ended.code, ended.out, ended.err) == (code, "", "opsctl: the bucket is gone; create it\n")


def test_a_fault_of_opsctl_has_its_own_code_and_no_traceback(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.commands.doctor.find_project", lambda: 1 / 0)
    ended = opsctl("doctor")
    assert ended.code == 70
    assert "internal error: ZeroDivisionError" in ended.err
    assert "Traceback" not in ended.err


def test_debug_shows_the_traceback(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsctl.commands.doctor.find_project", lambda: 1 / 0)
    ended = opsctl("--debug", "doctor")
    assert ended.code == 70
    assert "Traceback" in ended.err


def test_an_interruption_is_told_apart(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("opsctl.commands.doctor.find_project", interrupted)
    ended = opsctl("doctor")
    assert ended.code == 130
    assert "interrupted" in ended.err


def test_version_is_the_distributions(opsctl: Run) -> None:
    assert opsctl("--version").out.count(".") == 2


def test_the_shell_completes_commands_without_loading_them() -> None:
    assert complete("opsctl sm", 1) == ["plain,smoke-test"]
    assert third_party_imports(_OPSCTL_COMPLETE="", COMP_WORDS="opsctl d", COMP_CWORD="1") == {"click", "opsctl"}


def test_the_shell_completes_the_options_of_a_command() -> None:
    assert complete("opsctl smoke-test --u", 2) == ["plain,--url"]
