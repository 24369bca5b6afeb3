"""Record commands that are really run as an animated SVG: `python tools/record.py docs/recording.svg`, after `make up`.

What they print goes through a terminal (for its colours), line by line with its time; waits are cut short. A command
that fails ends the recording without a file: what is shown has worked. So does a word about the machine it ran on.
"""

from __future__ import annotations

import io
import os
import pty
import re
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMANDS = (
    "opsctl smoke-test --stack local",
    # without --fail-with-body curl ends with 0 on a 500, and the recording would show it as an answer
    """curl -s --fail-with-body http://127.0.0.1:8080/rag -H 'content-type: application/json' \\
  -d '{"query": "What is Supervisor used for?"}' | python -m json.tool | sed -n 1,20p""",
    "opsctl cost-report --stack prod --region us-east-1 --compare ecs,eks,lambda | sed -n 1,17p",
)
COLUMNS = 110
LONGEST_WAIT_S = 1.5
TYPING_S = 0.8
PRIVATE = re.compile(
    r"(?<![\w.:/])/(?:home|root|work|tmp|usr|var|opt|mnt|srv|etc|Users)/"  # a path of the machine
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20,}|\bsk-\w{20,}|-----BEGIN |\bBearer \w"  # a credential
)
SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSWORD|PASSPHRASE|API_KEY|ACCESS_KEY")
# rich's own, without its font from elsewhere: a page that shows an image loads nothing else
TEMPLATE = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
MOTION = """<style>
@media (prefers-reduced-motion: no-preference) {{
@keyframes shown {{ from {{ visibility: hidden }} to {{ visibility: visible }} }}
{rules}
}}
</style>
"""


@dataclass(frozen=True, slots=True)
class Said:
    """A line, and when it was there: seconds since the recording began, waits cut."""

    at_s: float
    text: str


def run(command: str, began_s: float) -> list[Said]:
    """Run it with its stdout on a terminal, and hear both of its streams.

    Raises:
        SystemExit: it failed.
    """
    near, far = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    words = ["bash", "-o", "pipefail", "-c", command]
    said = [Said(began_s, f"\x1b[1m{line}\x1b[0m") for line in f"$ {command}".splitlines()]
    at_s, last = began_s + TYPING_S, time.monotonic()
    with (
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=far, stderr=subprocess.PIPE, env=environ) as process,
        selectors.DefaultSelector() as ready,
    ):
        os.close(far)
        assert process.stderr is not None  # noqa: S101 - it was asked for
        waiting = {near: b"", process.stderr.fileno(): b""}
        for stream in waiting:
            ready.register(stream, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select():
                block = _block(key.fd)
                if not block:
                    ready.unregister(key.fd)
                *lines, waiting[key.fd] = (waiting[key.fd] + block).split(b"\n")
                now = time.monotonic()
                at_s, last = at_s + min(now - last, LONGEST_WAIT_S), now
                said += [Said(at_s, line.decode().rstrip("\r")) for line in lines]
    os.close(near)
    if process.returncode:
        shown = "\n".join(each.text for each in said)
        raise SystemExit(f"{shown}\nrecord: `{command}` ended with {process.returncode}; nothing was written")
    return [*said, Said(at_s, "")]


def _block(stream: int) -> bytes:
    try:
        return os.read(stream, 65536)
    except OSError:  # the terminal's other end is closed
        return b""


def svg(said: list[Said], title: str) -> str:
    """The recording as one image that plays once and then stays."""
    screen = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    delays: list[float] = []
    for each in said:
        wrapped = Text.from_ansi(each.text).wrap(screen, COLUMNS)
        delays += [each.at_s] * max(1, len(wrapped))
        screen.print(Text.from_ansi(each.text))
    image = screen.export_svg(title=title, code_format=TEMPLATE, unique_id="t")
    rules = "\n".join(
        f'[clip-path="url(#t-line-{number})"] {{ animation: shown 1ms linear {delay:.1f}s backwards }}'
        for number, delay in enumerate(delays)
    )
    return image.replace("<defs>", MOTION.format(rules=rules) + "<defs>", 1)


def private_in(said: list[Said]) -> list[str]:
    """What the lines tell of this machine: its paths, its name, credentials, secrets of its environment."""
    text = "\n".join(Text.from_ansi(each.text).plain for each in said)
    found = [f"a path or credential: {each}" for each in PRIVATE.findall(text)]
    host = socket.gethostname()
    if host != "localhost" and re.search(rf"\b{re.escape(host)}\b", text):
        found.append("this machine's name")
    return found + [
        f"the value of {name}" for name, value in os.environ.items() if _secret(name, value) and value in text
    ]


def _secret(name: str, value: str) -> bool:
    return SECRET_NAMES.search(name) is not None and len(value) >= 8  # noqa: PLR2004 - shorter ones are words


def main(target: str) -> None:
    """Run all commands, then write the image."""
    said: list[Said] = []
    for command in COMMANDS:
        said += run(command, said[-1].at_s + LONGEST_WAIT_S if said else 0.0)
    if found := private_in(said):
        raise SystemExit(f"record: it would show {', '.join(found)}; nothing was written; choose other commands")
    Path(target).write_text(svg(said, "opsctl, after make up (waits are cut)"), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
