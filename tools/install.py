"""Put a Pulumi CLI of at least 3.200 with its Python language host where `tools/activate.sh` finds it.

In this order: the one on PATH, the one already under .tools, Pulumi's own installer, a build from the pinned Go modules
beside this file. Needs the virtual environment for the installer and Go 1.24+ for the build. With a name of SCANNERS
it builds that instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.error
from collections.abc import Sequence
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent / ".tools"
BIN = ROOT / "bin"
LEAST_PULUMI = (3, 200)
LEAST_GO = (1, 24)
# The language host starts these by name; upstream's release archive has them beside the CLI.
SCRIPTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
    "python/dist/pulumi-analyzer-policy-python",
)
SDK = "github.com/pulumi/pulumi/sdk/v3"
# What else is built, by the folder that pins it: nothing of it can be had but from its Go module.
SCANNERS = {"kube-score": "github.com/zegl/kube-score/cmd/kube-score"}


def version_of(text: str) -> tuple[int, ...]:
    """The first dotted version number in a tool's own words: `v3.213.0` and `go1.26.8` alike."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part) if found else ()


def usable(command: str | None) -> bool:
    """Whether `command` is a Pulumi CLI that is new enough and has a Python language host beside it or on PATH."""
    if command is None:
        return False
    places = f"{Path(command).parent}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("pulumi-language-python", path=places) is None:
        return False
    return version_of(_output([command, "version"])) >= LEAST_PULUMI


def install() -> str:
    """Make a CLI available; returns one line that says which.

    Raises:
        SystemExit: none can be had; the message says what to install.
    """
    for candidate in (shutil.which("pulumi"), shutil.which("pulumi", path=str(BIN))):
        if usable(candidate):
            return f"pulumi {_output([str(candidate), 'version'])} at {candidate}"
    try:
        from pulumi.automation import PulumiCommand  # noqa: PLC0415 - only where no CLI is there yet

        command = PulumiCommand.install(root=str(ROOT))
    except (urllib.error.URLError, OSError, subprocess.CalledProcessError) as exc:
        say(f"Pulumi's installer failed ({exc}); building the CLI from its Go modules (a few minutes, once)")
        build()
        return f"pulumi {_output([str(BIN / 'pulumi'), 'version'])} built at {BIN}"
    return f"pulumi {command.version} installed at {BIN}"


def scanner(name: str) -> str:
    """Build a scanner; returns one line that says which.

    Raises:
        SystemExit: Go is missing or failed; the message says what to do.
    """
    go = _compiler(f"no Go >= 1.24 to build {name}: install it (https://go.dev/dl/), then run this again")
    say(f"building {name}")
    _go([go, "build", "-o", str(BIN / name), SCANNERS[name]], TOOLS / name)
    return f"{name} built at {BIN}"


def _compiler(missing: str) -> str:
    """Go, and the folder for what it builds."""
    go = shutil.which("go")
    if go is None or version_of(_output([go, "version"])) < LEAST_GO:
        sys.exit(missing)
    BIN.mkdir(parents=True, exist_ok=True)
    return go


def build() -> None:
    """Build the CLI and its Python language host; the sums of every module are in go.sum.

    Raises:
        SystemExit: Go is missing or failed; the message says what to do.
    """
    go = _compiler(
        "no Pulumi CLI >= 3.200 and no Go >= 1.24 to build one: install Pulumi "
        "(https://www.pulumi.com/docs/install/) or Go (https://go.dev/dl/), then run `make tools` again"
    )
    for module, package in (
        ("pulumi-language-python", f"{SDK}/python/cmd/pulumi-language-python"),
        ("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"),
    ):
        say(f"building {module}")
        version = _go([go, "list", "-m", "-f", "{{.Version}}", _module_of(package)], TOOLS / module)
        stamp = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
        _go([go, "build", "-ldflags", stamp, "-o", str(BIN / module), package], TOOLS / module)
    source = Path(_go([go, "list", "-m", "-f", "{{.Dir}}", SDK], TOOLS / "pulumi"))
    for script in SCRIPTS:
        target = BIN / Path(script).name
        target.unlink(missing_ok=True)
        shutil.copyfile(source / script, target)  # the module cache is read-only, its modes are not wanted
        target.chmod(0o755)


def say(line: str) -> None:
    """Progress is talk: stderr."""
    sys.stderr.write(f"tools: {line}\n")


def _module_of(package: str) -> str:
    return SDK if package.startswith(SDK) else "github.com/pulumi/pulumi/pkg/v3"


def _go(command: Sequence[str], module: Path) -> str:
    """What Go prints, run in the folder of a pinned module; its own words on stderr are passed on as they come."""
    done = subprocess.run(command, cwd=module, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"`go {command[1]}` of {module.name} ended with code {done.returncode}, its reason is above: check that "
            "the addresses in `go env GOPROXY` can be reached and the disk has 2 GB free, then run `make tools` again"
            f"{', or install Pulumi (https://www.pulumi.com/docs/install/)' if module.name not in SCANNERS else ''}"
        )
    return done.stdout.strip()


def _output(command: Sequence[str], cwd: Path | None = None) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    say(scanner(sys.argv[1]) if len(sys.argv) > 1 else install())
