"""What the operator's machine starts on an edge host: `python -m infra.edge.on_host up|drift|restore|stop`.

Inputs come on stdin, the answer goes to stdout, both as JSON; a failure is the last line of stderr and exit code 1. It
runs in the folder of the code that was installed with it, and must import neither Pulumi nor the service.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from infra.edge.errors import EdgeError
from infra.edge.hosts.releases import keep_two, point, remember, serving, switch
from infra.edge.layout import RunFolder
from infra.edge.readiness import wait_taken_over
from infra.edge.running import Release, RunningEdge, ServiceInputs
from infra.edge.supervisor import Supervisor
from infra.edge.systemd import Systemd


def main(argv: list[str]) -> int:
    """Do what was asked for; 0, or 1 with a line that says why not."""
    inputs = ServiceInputs.model_validate_json(sys.stdin.read())
    try:
        answer = act(argv[1], inputs)
    except EdgeError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(json.dumps(answer))
    return 0


def act(verb: str, inputs: ServiceInputs) -> dict[str, Any]:
    """One verb on the edge that `inputs` describes.

    Raises:
        EdgeError: as of `RunningEdge`.
    """
    release = inputs.release
    if release is None:
        raise EdgeError("the inputs name no release")
    edge = running(release)
    if verb == "drift":
        return {"drift": edge.drift(inputs)}
    if verb == "up":
        _up(edge, inputs, release)
    elif verb == "restore":
        edge.restore(inputs)
    elif verb == "stop":
        edge.stop(inputs)
    return {}


def _up(edge: RunningEdge, inputs: ServiceInputs, release: Release) -> None:
    before = switch(release)
    try:
        edge.up(inputs)
        if inputs.metrics_url and (bundle := serving(release)):
            wait_taken_over(inputs.metrics_url, bundle)
    except EdgeError:
        if before is not None:
            point(release, before)
        raise
    remember(release)
    keep_two(release)


def running(release: Release) -> RunningEdge:
    """The edge of `release`; its programs work in the folder of the code."""
    base = Path(release.base)
    folder = RunFolder(base / "run")
    kind = Systemd if release.manager == "systemd" else Supervisor
    return RunningEdge(folder, kind(folder, root=base / release.app, python=Path(release.python)))


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv))
