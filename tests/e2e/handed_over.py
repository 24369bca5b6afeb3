"""A stack of the engine whose outputs are given instead of built, for what only reads them."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from tests.e2e.stack import Stack


def handed_over(folder: Path, outputs: dict[str, Any], *, copied_from: str = "dev") -> Stack:
    """A stack in a project folder of its own, with these outputs, and config and begin of the name of a shipped one."""
    stack = Stack(f"{copied_from}-{uuid.uuid4().hex[:8]}", folder)
    stack.create(copied_from)
    urn = f"urn:pulumi:{stack.name}::rag-platform::pulumi:pulumi:Stack::rag-platform-{stack.name}"
    root = {"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": {"topology": "ecs"} | outputs}
    state = stack.state()
    state["deployment"]["resources"] = [root]
    command = stack.command("stack", "import")
    subprocess.run(command, cwd=folder, input=json.dumps(state), text=True, check=True, capture_output=True)
    return stack
