"""A systemctl that is small: starts, stops and shows the units of one folder; real processes all the same.

fake_systemctl.py UNITS VERB [WORDS]
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

units = Path(sys.argv[1])
verb, *words = sys.argv[2:]
names = [word for word in words if word.endswith(".service")]


def pid_of(name: str) -> int:
    path = units / f"{name}.pid"
    pid = int(path.read_text()) if path.exists() else 0
    with suppress(OSError):
        if pid and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            return pid
    return 0


def start(name: str) -> None:
    if pid_of(name):
        return
    pairs = [line.partition("=") for line in (units / name).read_text().splitlines() if "=" in line]
    told = dict(shlex.split(value)[0].split("=", 1) for key, _, value in pairs if key == "Environment")
    options = {key: value for key, _, value in pairs}
    command = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(options["ExecStart"])]
    with (units / f"{name}.journal").open("a") as journal:
        process = subprocess.Popen(
            command,
            cwd=options["WorkingDirectory"],
            env={"PATH": os.environ["PATH"], **told},
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            start_new_session=True,
        )
    (units / f"{name}.pid").write_text(str(process.pid))


def stop(name: str) -> None:
    pid = pid_of(name)
    while pid and pid_of(name):
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)
    (units / f"{name}.pid").unlink(missing_ok=True)


for name in names:
    if verb in {"restart", "disable"}:
        stop(name)
    if verb in {"restart", "start"}:
        start(name)
    if verb == "show":
        pid, ran = pid_of(name), (units / f"{name}.pid").exists()
        print(f"ActiveState={'active' if pid else 'failed' if ran else 'inactive'}\nSubState=x\nMainPID={pid}")  # noqa: T201
