"""tools/install.py, loaded by its path: it is run before the project is installed. Its tools are played by scripts."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pulumi.automation import PulumiCommand

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "tools" / "install.py"
GO = """
case "$*" in
  version) echo go version go1.26.8 linux/amd64 ;;
  build*)
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho v3.213.0\\n' > "$2" && /bin/chmod +x "$2" ;;
  *Version*) echo v3.213.0 ;;
  *Dir*) echo "${0%/*}/sdk" ;;
esac
"""


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def cli(folder: Path, version: str = "v3.213.0", *, host: bool = True) -> Path:
    if host:
        program(folder, "pulumi-language-python", "")
    return program(folder, "pulumi", f"echo {version}")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with an empty .tools and a PATH that holds nothing of this machine's."""
    spec = spec_from_file_location("install", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path / ".tools")
    monkeypatch.setattr(module, "BIN", tmp_path / ".tools" / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return module


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, urllib.error.URLError("no route"))


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def install(**_: Any) -> None:
        raise error

    monkeypatch.setattr(PulumiCommand, "install", install)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.213.0", (3, 213, 0)),
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.24 linux/amd64", (1, 24)),
        ("v3.213.0-alpha.1+dirty", (3, 213, 0)),
        ("", ()),
        ("devel", ()),
    ],
)
def test_a_version_is_read_from_the_tool_s_own_words(install: ModuleType, text: str, version: tuple[int, ...]) -> None:
    assert install.version_of(text) == version


@pytest.mark.parametrize(
    ("version", "host", "usable"),
    [
        ("v3.200.0", True, True),
        ("v3.199.9", True, False),
        ("v4.0.0", True, True),
        ("v3.213.0", False, False),
        ("no version", True, False),
    ],
)
def test_a_cli_must_be_new_enough_and_have_a_python_host(
    *, install: ModuleType, tmp_path: Path, version: str, host: bool, usable: bool
) -> None:
    assert install.usable(str(cli(tmp_path / "own", version, host=host))) is usable


def test_the_python_host_may_be_elsewhere_on_the_path(install: ModuleType, tmp_path: Path) -> None:
    program(tmp_path / "path", "pulumi-language-python", "")
    assert install.usable(str(cli(tmp_path / "own", host=False)))


def test_no_cli_and_one_that_fails_are_not_usable(install: ModuleType, tmp_path: Path) -> None:
    broken = cli(tmp_path / "own")
    broken.write_text("#!/bin/sh\necho v3.213.0\nexit 1\n")
    assert not install.usable(None)
    assert not install.usable(str(broken))


def test_the_candidates_are_taken_in_their_order(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH, .tools, Pulumi's installer, Go: each is taken once those before it are gone."""
    program(tmp_path / "path", "go", GO)
    (tmp_path / "path" / "sdk" / "python" / "cmd").mkdir(parents=True)
    for script in install.SCRIPTS:
        program((tmp_path / "path" / "sdk" / script).parent, Path(script).name, "")
    on_path, in_tools = cli(tmp_path / "path", "v3.201.0"), cli(tmp_path / ".tools" / "bin", "v3.202.0")
    monkeypatch.setattr(PulumiCommand, "install", lambda **_: SimpleNamespace(version="3.203.0"))

    assert install.install() == f"pulumi v3.201.0 at {on_path}"
    on_path.unlink()
    assert install.install() == f"pulumi v3.202.0 at {in_tools}"
    in_tools.unlink()
    assert install.install() == f"pulumi 3.203.0 installed at {install.BIN}"
    refuse(monkeypatch, urllib.error.URLError("no route"))
    assert install.install() == f"pulumi v3.213.0 built at {install.BIN}"
    assert {file.name for file in install.BIN.iterdir()} >= {"pulumi", *(Path(each).name for each in install.SCRIPTS)}


def test_a_cli_on_the_path_that_is_too_old_is_passed_over(install: ModuleType, tmp_path: Path) -> None:
    cli(tmp_path / "path", "v3.100.0")
    in_tools = cli(tmp_path / ".tools" / "bin")
    assert install.install() == f"pulumi v3.213.0 at {in_tools}"


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route"),
        OSError("disk full"),
        subprocess.CalledProcessError(7, ["install.sh"], output=b"curl: (7) could not connect"),
    ],
)
def test_whatever_stops_the_installer_go_is_next(
    install: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    refuse(monkeypatch, error)
    with pytest.raises(SystemExit, match=r"no Go >= 1\.24.*run `make tools` again"):
        install.install()
    assert "building the CLI from its Go modules" in capsys.readouterr().err


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("version", ["go1.23.9", "devel"])
def test_an_old_go_is_as_good_as_none(install: ModuleType, tmp_path: Path, version: str) -> None:
    program(tmp_path / "path", "go", f"echo go version {version}")
    with pytest.raises(SystemExit, match=r"no Go >= 1\.24"):
        install.install()


@pytest.mark.parametrize("command", ["build", "list"])
def test_a_go_that_fails_is_one_line_that_says_what_to_do(tmp_path: Path, command: str) -> None:
    """As a process: no traceback, and Go's own words are there."""
    program(tmp_path / "path", "go", f'[ "$1" != {command} ] || {{ echo "go: proxy is down" >&2; exit 9; }}\n{GO}')
    code = (
        "import runpy, pulumi.automation, pathlib, sys;"
        f"tool = runpy.run_path({str(SCRIPT)!r});"
        f"tool['build'].__globals__['BIN'] = pathlib.Path({str(tmp_path / 'bin')!r});"
        "tool['build']()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(tmp_path / "path")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if not line.startswith("tools: ")]
    assert said[0] == "go: proxy is down"
    assert said[1].startswith(f"`go {command}` of pulumi-language-python ended with code 9")
    assert "run `make tools` again" in said[1]
    assert len(said) == 2
