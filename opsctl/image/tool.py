"""The container tool of this machine - docker, podman or buildah - behind what building and pushing need of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from opsctl.errors import CheckFailed, CloudRefused, NotUsable, TimedOut, ToolMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INSPECT = {
    "docker": ("image", "inspect", "--format", "{{.Id}}"),
    "podman": ("image", "inspect", "--format", "{{.Id}}"),
    "buildah": ("inspect", "--type", "image", "--format", "{{.FromImageID}}"),
}
LABELS = {
    "docker": ("image", "inspect", "--format", "{{json .Config.Labels}}"),
    "podman": ("image", "inspect", "--format", "{{json .Config.Labels}}"),
    "buildah": ("inspect", "--type", "image", "--format", "{{json .Docker.Config.Labels}}"),
}
# Lambda takes one manifest in Docker's or OCI's form: no list with a second one that says how the image was built.
# OCI's form has no HEALTHCHECK.
BUILD = {
    "docker": ("buildx", "build", "--provenance=false", "--progress=plain"),
    "podman": ("build", "--format", "docker", "--layers"),
    "buildah": ("build", "--format", "docker", "--layers"),
}
STDERR = 2  # the descriptor: what a build says is talk, and a second process writes it
BUILD_LIMIT_S = 3600.0
PUSH_LIMIT_S = 1800.0
QUICK_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class ContainerTool:
    """One of them, with the environment that it runs in."""

    name: str
    path: str
    environ: Mapping[str, str]

    def usable(self) -> bool:
        """Whether it can build: docker is nothing without its daemon."""
        return self.name != "docker" or self._run("version", check=False).returncode == 0

    def has(self, image: str) -> bool:
        """Whether `image` is in its local storage."""
        return self._run(*INSPECT[self.name], image, check=False).returncode == 0

    def labels(self, image: str) -> Mapping[str, str]:
        """What a local image says about itself."""
        said = json.loads(self._run(*LABELS[self.name], image).stdout or "null")
        return {str(name): str(value) for name, value in (said or {}).items()}

    def build(self, file: Path, context: Path, options: Sequence[str], *, pulls: bool) -> None:
        """Build by `file`; what the tool says goes to stderr.

        Raises:
            CheckFailed: the build failed; its own words are above.
        """
        own: list[str] = []
        if self.name != "docker":  # BuildKit finds it beside the Dockerfile, and has no way to never pull
            own = ["--ignorefile", f"{file}.dockerignore", "--pull" if pulls else "--pull-never"]
        elif not any(option.startswith("type=local") for option in options):
            own = ["--load"]
        command = [self.path, *BUILD[self.name], *own, "--file", str(file), *options, str(context)]
        try:
            done = subprocess.run(command, env=dict(self.environ), stdout=STDERR, timeout=BUILD_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as exc:
            raise TimedOut(
                f"`{self.name} build` took more than {BUILD_LIMIT_S:g} s", next_step="run it again; layers are kept"
            ) from exc
        if done.returncode != 0:
            raise CheckFailed(
                f"`{self.name} build` ended with code {done.returncode}",
                next_step="its own words above say why; correct that, then run the same command again",
            )

    def pull(self, reference: str) -> str:
        """Fetch an image and give the digest that the registry knows it by."""
        self._run("pull", "--quiet", reference, limit_s=PUSH_LIMIT_S)
        if self.name == "buildah":
            said = self._run("inspect", "--type", "image", "--format", "{{.FromImageDigest}}", reference).stdout
            return said.strip()
        known = json.loads(self._run("image", "inspect", "--format", "{{json .RepoDigests}}", reference).stdout)
        return str(known[0]).rpartition("@")[2]

    def raw_manifest_digest(self, reference: str) -> str:
        """The digest of a reference as docker's own registry client sees it, of all platforms together."""
        said = self._run("buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", reference).stdout
        return str(json.loads(said)["digest"])

    def save(self, image: str, archive: Path) -> None:
        """Write an image as an archive in Docker's form."""
        if self.name == "buildah":
            self._run("push", image, f"docker-archive:{archive}", limit_s=PUSH_LIMIT_S)
        else:
            self._run("save", "--output", str(archive), image, limit_s=PUSH_LIMIT_S)

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
        return run([self.path, *arguments], self.environ, given=given, check=check, limit_s=limit_s)


def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    given: str | None = None,
    check: bool = True,
    limit_s: float = QUICK_LIMIT_S,
) -> subprocess.CompletedProcess[str]:
    """Run a program that speaks to registries, quietly.

    Raises:
        CloudRefused, TimedOut: with its own reason.
    """
    what = f"`{Path(command[0]).name} {command[1]}`"
    try:
        done = subprocess.run(
            list(command),
            env=dict(environ),
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


def builder(environ: Mapping[str, str]) -> ContainerTool:
    """The first container tool of this machine that can build.

    Raises:
        ToolMissing: there is none.
    """
    for tool in _tools(environ):
        if tool.usable():
            return tool
    raise ToolMissing("docker's daemon does not answer", next_step="start it, or install podman")


def tool_with(image: str, environ: Mapping[str, str]) -> ContainerTool:
    """The first container tool of this machine that has `image`.

    Raises:
        ToolMissing: there is no such tool.
        NotUsable: none of them has the image.
    """
    tools = _tools(environ)
    for tool in tools:
        if tool.has(image):
            return tool
    raise NotUsable(
        f"no image '{image}' in {', '.join(tool.name for tool in tools)}",
        next_step=f"build it: `opsctl image build --tag {image}`",
    )


def _tools(environ: Mapping[str, str]) -> list[ContainerTool]:
    path = environ.get("PATH", "")
    tools = [ContainerTool(name, at, environ) for name in INSPECT if (at := shutil.which(name, path=path))]
    if not tools:
        raise ToolMissing(f"there is none of {', '.join(INSPECT)}", next_step="see `opsctl doctor`")
    return tools
