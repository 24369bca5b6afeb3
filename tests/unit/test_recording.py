"""The recording in the README is of commands that worked, says nothing of the machine, and loads nothing."""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "docs" / "recording.svg"
MOST_BYTES = 100_000
ELSEWHERE = re.compile(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#)[a-z]+:", re.IGNORECASE)
LOCAL = "http://127.0.0.1:8080"
README = (ROOT / "README.md").read_text()


class Broken(BaseHTTPRequestHandler):
    """Well-formed JSON, and a 500."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b'{"answer": "none"}')

    def log_message(self, *_: object) -> None:
        """Nothing on the test's stderr."""


@pytest.fixture
def broken_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", ROOT / "tools" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["record"] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def words_in(image: str) -> str:
    """What a reader of the image reads."""
    read = ET.fromstring(image)  # noqa: S314 - our own file
    return " ".join("".join(read.itertext()).replace("\xa0", " ").split())


def test_the_readmes_recording_shows_the_commands_that_the_tool_runs(record: ModuleType) -> None:
    image = RECORDING.read_text()
    assert len(image.encode()) < MOST_BYTES
    shown = words_in(image)
    for command in record.COMMANDS:
        assert f"$ {' '.join(command.split())}" in shown
    assert re.search(r"!\[[^\]]+\]\(docs/recording\.svg\)", README)


@pytest.mark.parametrize(
    "promised", [f"{LOCAL}/rag", '{"query": "What is Supervisor used for?"}', "opsctl cost-report"]
)
def test_what_the_readme_tells_a_reader_to_type_is_in_the_recording(promised: str) -> None:
    assert promised in README
    assert promised in words_in(RECORDING.read_text())


def test_it_says_nothing_of_the_machine_and_loads_nothing(record: ModuleType) -> None:
    image = RECORDING.read_text()
    assert record.private_in([record.Said(0.0, words_in(image))]) == []
    assert set(re.findall(r"(?<=//)[\w.]+:\d+", image)) == {"127.0.0.1:8080"}
    assert ELSEWHERE.findall(image) == []
    assert "planted" not in image


def test_lines_come_when_they_came_and_all_at_once_where_motion_is_not_wanted(record: ModuleType) -> None:
    said = record.run("echo first; sleep 0.4; echo second >&2", 0.0)
    assert [each.text for each in said] == [
        "\x1b[1m$ echo first; sleep 0.4; echo second >&2\x1b[0m",
        "first",
        "second",
        "",
    ]
    assert said[2].at_s - said[1].at_s >= 0.3
    image = record.svg(said, "title")
    assert "second" in words_in(image)
    moving = image[image.index("@media") : image.index("</style>", image.index("@media"))]
    assert "prefers-reduced-motion: no-preference" in moving
    delays = [float(each) for each in re.findall(r"linear ([\d.]+)s backwards", moving)]
    assert delays == sorted(delays)
    assert len(delays) == len(said)


@pytest.mark.parametrize("command", ["false", "echo half; exit 3", "false | cat"])
def test_a_command_that_fails_leaves_no_recording(
    command: str, record: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "COMMANDS", (command,))
    with pytest.raises(SystemExit, match="nothing was written"):
        record.main(str(tmp_path / "made.svg"))
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_an_error_leaves_no_recording(
    record: ModuleType, broken_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = tuple(each.replace(LOCAL, broken_url) for each in record.COMMANDS if "curl" in each)
    assert asking
    monkeypatch.setattr(record, "COMMANDS", asking)
    with pytest.raises(SystemExit, match="nothing was written"):
        record.main(str(tmp_path / "made.svg"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "shown", ["state in /home/someone/x", "on host-of-mine now", "AKIAABCDEFGHIJKLMNOP", "\x1b[1mplanted\x1b[0m-secret"]
)
def test_a_word_about_the_machine_leaves_no_recording(
    shown: str, record: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-of-mine")
    monkeypatch.setenv("SOME_TOKEN", "planted-secret")
    monkeypatch.setattr(record, "COMMANDS", ("true",))
    monkeypatch.setattr(record, "run", lambda *_: [record.Said(0.0, shown)])
    with pytest.raises(SystemExit, match="nothing was written"):
        record.main(str(tmp_path / "made.svg"))
    assert list(tmp_path.iterdir()) == []
