from __future__ import annotations

import stat
from decimal import Decimal
from pathlib import Path

import pytest

from service.access.caller import Caller, Limits
from service.access.key_book import KeyBook
from service.jobs import api_key


def book(path: Path) -> KeyBook:
    return KeyBook.parse(path.read_bytes())


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What is printed."""
    assert api_key.main([str(each) for each in arguments]) == 0
    return capsys.readouterr().out.strip()


def test_a_new_key_is_printed_once_and_kept_as_a_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.json"
    key = run(capsys, "add", path, "app", "--requests-per-minute", "30", "--usd-per-hour", "1.50")
    assert len(key) >= 43  # 32 random bytes
    assert key not in path.read_text()
    assert book(path).caller(key.encode()) == Caller("app", Limits(30, Decimal("1.50")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_adding_a_name_again_rotates_its_key_and_revoking_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    old, other = run(capsys, "add", path, "app"), run(capsys, "add", path, "ci")
    new = run(capsys, "add", path, "app")
    assert [book(path).caller(key.encode()) for key in (old, new, other)] == [None, Caller("app"), Caller("ci")]
    run(capsys, "revoke", path, "ci")
    assert book(path).caller(other.encode()) is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["add", "keys.json", "a name"], "name: String should match pattern"),
        (["add", "keys.json", "app", "--requests-per-minute", "0"], "requests_per_minute: Input should be greater"),
        (["add", "keys.json", "app", "--usd-per-hour", "-1"], "usd_per_hour: Input should be greater"),
        (["add", "nowhere/keys.json", "app"], "No such file or directory"),
        (["add", "broken.json", "app"], "broken.json is no key book: version: Field required"),
        (["revoke", "keys.json", "app"], "No such file or directory"),
        (["revoke", "empty.json", "app"], "empty.json has no key named app"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_changes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text("{}")
    Path("empty.json").write_text('{"version": 1, "keys": []}')
    assert api_key.main(arguments) == 1
    said = capsys.readouterr()
    assert reason in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["broken.json", "empty.json"]
    assert Path("broken.json").read_text() == "{}"
