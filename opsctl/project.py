"""Where the Pulumi project is, which Pulumi CLI drives it, and in which environment.

Only finds things; what the engine is asked is in `opsctl.stack` and `opsctl.deploy`.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opsctl.errors import NotUsable, ToolMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_STACK = "local"


@dataclass(frozen=True, slots=True)
class Project:
    """The folder that holds Pulumi.yaml."""

    root: Path

    @property
    def tools(self) -> Path:
        """Where `make tools` puts what the machine lacks."""
        return self.root / ".tools" / "bin"

    @property
    def state(self) -> Path:
        """The file backend of the stack `local`."""
        return self.root / ".pulumi-state"


def find_project(start: Path | None = None) -> Project:
    """The project at or above `start` (default: the working directory), else the checkout that opsctl runs from.

    Raises:
        NotUsable: neither has a Pulumi.yaml.
    """
    start = (start or Path.cwd()).resolve()
    own = Path(__file__).resolve().parent.parent
    for folder in (start, *start.parents, own):
        if (folder / "Pulumi.yaml").is_file():
            return Project(folder)
    raise NotUsable(f"no Pulumi.yaml in {start} or above", next_step="run opsctl inside the project's checkout")


def find_pulumi(project: Project, environ: Mapping[str, str]) -> Path:
    """The Pulumi CLI: the project's own, made where the machine has none that will do, else the one on PATH.

    Raises:
        ToolMissing: there is none.
    """
    found = shutil.which("pulumi", path=engine_path(project, environ))
    if found is None:
        raise ToolMissing("the Pulumi CLI is neither in .tools/bin nor on PATH", next_step="run `make tools`")
    return Path(found)


def forget_salt(project: Project, stack: str) -> None:
    """Take the salt of this machine's passphrase out of the local stack's file, where an update writes it.

    The state has it too and the engine reads it there; in a committed file it would break every other clone.
    """
    file = project.root / f"Pulumi.{LOCAL_STACK}.yaml"
    if stack.rpartition("/")[2] != LOCAL_STACK or not project.state.is_dir() or not file.is_file():
        return
    text = file.read_text(encoding="utf-8")
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("encryptionsalt:"))
    if kept != text:
        file.write_text(kept, encoding="utf-8")


def engine_path(project: Project, environ: Mapping[str, str]) -> str:
    """PATH for the engine: the project's tools, then the user's."""
    return ":".join(part for part in (str(project.tools), environ.get("PATH", "")) if part)


def engine_environment(project: Project, stack: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that the engine needs: this interpreter's virtual environment, and the backend of stack `local`.

    What the user set wins. The defaults of `local` are those of tools/activate.sh, so that a plain shell will do.
    """
    python = Path(sys.executable).parent
    defaults = {"PULUMI_SKIP_UPDATE_CHECK": "true", "VIRTUAL_ENV": str(python.parent)}
    if stack.rpartition("/")[2] == LOCAL_STACK and project.state.is_dir():
        defaults["PULUMI_BACKEND_URL"] = project.state.as_uri()
        defaults["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] = "true"
        defaults["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"  # nothing is fetched: it needs no plugin
        if "PULUMI_CONFIG_PASSPHRASE" not in environ:
            defaults["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(project.state / "passphrase")
    path = f"{python}:{engine_path(project, environ)}"
    return {**defaults, **environ, "PATH": path}
