"""The container tool of this machine - docker, podman or buildah - behind the four things that a push needs of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from opsctl.errors import CloudRefused, NotUsable, TimedOut, ToolMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

INSPECT = {
    "docker": ("image", "inspect", "--format", "{{.Id}}"),
    "podman": ("image", "inspect", "--format", "{{.Id}}"),
    "buildah": ("inspect", "--type", "image", "--format", "{{.FromImageID}}"),
}
PUSH_LIMIT_S = 1800.0
QUICK_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class ContainerTool:
    """One of them, with the environment that it runs in."""

    name: str
    path: str
    environ: Mapping[str, str]

    def has(self, image: str) -> bool:
        """Whether `image` is in its local storage."""
        return self._run(*INSPECT[self.name], image, check=False).returncode == 0

    def login(self, registry: str, user: str, password: str) -> None:
        """Log in; the password goes by stdin, where no process list shows it."""
        self._run("login", "--username", user, "--password-stdin", registry, given=password)

    def push(self, image: str, target: str) -> str:
        """Push `image` as `target` (repository:tag) and give the digest that the registry knows it by."""
        self._run("tag", image, target)
        if self.name == "docker":
            self._run("push", target, limit_s=PUSH_LIMIT_S)
            known = json.loads(self._run("image", "inspect", "--format", "{{json .RepoDigests}}", target).stdout)
            repository = target.rpartition(":")[0]
            return next(str(each).partition("@")[2] for each in known if str(each).startswith(f"{repository}@"))
        with TemporaryDirectory() as folder:
            file = Path(folder, "digest")
            self._run("push", "--digestfile", str(file), target, limit_s=PUSH_LIMIT_S)
            return file.read_text(encoding="utf-8").strip()

    def _run(
        self, *arguments: str, given: str | None = None, check: bool = True, limit_s: float = QUICK_LIMIT_S
    ) -> subprocess.CompletedProcess[str]:
        what = f"`{self.name} {arguments[0]}`"
        try:
            done = subprocess.run(
                [self.path, *arguments],
                env=dict(self.environ),
                input=given or "",
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise TimedOut(
                f"{what} took more than {limit_s:g} s", next_step="check the network, then run it again"
            ) from exc
        if check and done.returncode != 0:
            reason = " ".join(done.stderr.split())[-300:] or "no reason given"
            raise CloudRefused(f"{what} failed: {reason}", next_step="correct that, then run the same command again")
        return done


def tool_with(image: str, environ: Mapping[str, str]) -> ContainerTool:
    """The first container tool of this machine that has `image`.

    Raises:
        ToolMissing: there is no such tool.
        NotUsable: none of them has the image.
    """
    path = environ.get("PATH", "")
    tools = [ContainerTool(name, at, environ) for name in INSPECT if (at := shutil.which(name, path=path))]
    if not tools:
        raise ToolMissing(f"there is none of {', '.join(INSPECT)}", next_step="see `opsctl doctor`")
    for tool in tools:
        if tool.has(image):
            return tool
    raise NotUsable(
        f"no image '{image}' in {', '.join(tool.name for tool in tools)}",
        next_step=f"build it: `{tools[0].name} build -t {image} -f service/Dockerfile .`",
    )
