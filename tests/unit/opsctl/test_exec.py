"""`opsctl exec`: the right program with the right words, and no token among them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsctl.stack import Delivery
from tests.unit.opsctl.played_aws import PlayedAws

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run

TASK = "arn:aws:ecs:eu-north-1:123456789012:task/rag/{}"
ECS = {
    "topology": "ecs",
    "region": "eu-north-1",
    "cluster": {"name": "rag", "service": "api"},
    "jobs": {"kind": "ecs-task", "container": "service"},
}
EKS = {
    "topology": "eks",
    "region": "eu-north-1",
    "cluster": {"name": "rag-dev", "service": "rag-dev/rag-api"},
    "jobs": {"kind": "kubernetes-job", "container": "rag-api"},
}
RECORDER = """#!{python}
import json, os, sys
names = ("AWS_SSM_START_SESSION_RESPONSE", "KUBECONFIG")
told = {{name: os.environ.get(name) for name in names}}
config = told["KUBECONFIG"]
told["config"] = json.load(open(config)) if config and os.path.exists(config) else None
told["mode"] = oct(os.stat(os.path.dirname(config)).st_mode & 0o777) if told["config"] else None
json.dump({{"argv": sys.argv[1:], **told}}, open({said!r}, "w"))
sys.exit(7)
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand-ins of both programs, which write down what they are told and end with 7."""
    said = tmp_path / "said.json"
    for name in ("session-manager-plugin", "kubectl"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(RECORDER.format(python=sys.executable, said=str(said)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return lambda: json.loads(said.read_text())


def delivers(monkeypatch: pytest.MonkeyPatch, delivery: dict[str, Any]) -> None:
    monkeypatch.setattr("opsctl.shell.open.read_delivery", lambda *_: Delivery.model_validate(delivery))


def task(number: int, status: str = "RUNNING") -> dict[str, Any]:
    containers = [{"name": "llama", "runtimeId": "other"}, {"name": "service", "runtimeId": f"run-{number}"}]
    return {
        "taskArn": TASK.format(number), "lastStatus": status, "startedAt": number, "containers": containers
    }  # fmt: skip


@pytest.fixture
def ecs(aws: PlayedService, monkeypatch: pytest.MonkeyPatch) -> PlayedAws:
    delivers(monkeypatch, ECS)
    session = {"sessionId": "s-1", "streamUrl": "wss://stream", "tokenValue": "planted-token"}
    return PlayedAws(
        aws,
        {
            "ListTasks": {"taskArns": [TASK.format(1), TASK.format(2)]},
            "DescribeTasks": {"tasks": [task(1), task(2), task(3, "PENDING")]},
            "ExecuteCommand": {"session": session},
        },
    )


class TestOnEcs:
    def test_the_plugin_gets_the_session_in_its_environment(self, opsctl: Run, ecs: PlayedAws, recorded: Any) -> None:
        done = opsctl("exec", "--stack", "dev", "--", "python", "-c", "print('a b')")
        assert done.code == 7, done.err
        (asked,) = ecs.bodies("ExecuteCommand")
        assert (asked["task"], asked["container"]) == (TASK.format(2), "service"), "the newest that runs"
        assert asked["command"] == """python -c 'print('"'"'a b'"'"')'"""
        said = recorded()
        name, region, verb, profile, request, _ = said["argv"]
        assert (name, region, verb, profile) == ("AWS_SSM_START_SESSION_RESPONSE", "eu-north-1", "StartSession", "")
        assert json.loads(request) == {"Target": "ecs:rag_2_run-2"}
        assert json.loads(said[name]) == {
            "SessionId": "s-1", "StreamUrl": "wss://stream", "TokenValue": "planted-token"
        }  # fmt: skip
        assert "planted-token" not in str(said["argv"]) + done.out + done.err

    def test_a_shell_is_the_default(self, opsctl: Run, ecs: PlayedAws, recorded: Any) -> None:
        opsctl("exec", "--stack", "dev")
        assert ecs.bodies("ExecuteCommand")[0]["command"] == "sh"

    def test_a_stack_that_lets_none_in_says_how_to(self, opsctl: Run, ecs: PlayedAws, recorded: Any) -> None:
        del ecs.answers["ExecuteCommand"]
        ecs.refusals["ExecuteCommand"] = (
            "InvalidParameterException",
            "The execute command failed because execute command was not enabled when the task was run",
        )
        done = opsctl("exec", "--stack", "dev", "sh")
        assert (done.code, "ecs.exec true --stack dev" in done.err.splitlines()[-1]) == (2, True)

    def test_no_task_no_shell(self, opsctl: Run, ecs: PlayedAws) -> None:
        ecs.answers["ListTasks"] = {"taskArns": []}
        done = opsctl("exec", "--stack", "dev", "sh")
        assert (done.code, "no task of service 'api' runs" in done.err) == (2, True)

    def test_without_the_plugin_it_says_where_to_get_it(
        self, opsctl: Run, ecs: PlayedAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        done = opsctl("exec", "--stack", "dev", "sh")
        assert (done.code, "no session-manager-plugin on PATH" in done.err) == (2, True)


class TestOnEks:
    def test_kubectl_takes_the_context_that_is_called_as_the_cluster(
        self, opsctl: Run, kube_api: PlayedService, recorded: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivers(monkeypatch, EKS)
        done = opsctl("exec", "--stack", "dev", "env", "-i")
        assert done.code == 7, done.err
        where = ["--context", "rag-dev", "-n", "rag-dev", "exec", "-i", "deployment/rag-api", "-c", "rag-api"]
        assert recorded()["argv"] == [*where, "--", "env", "-i"]

    def test_without_one_it_gets_a_file_of_its_own_with_a_token_that_is_in_no_argument(
        self, opsctl: Run, recorded: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from opsctl.aws.cluster import ClusterAccess

        delivers(monkeypatch, EKS)
        access = ClusterAccess("https://near", "Q0E=", "planted-token")
        monkeypatch.setattr("opsctl.kube.session._has_context", lambda _: False)
        monkeypatch.setattr("opsctl.kube.session.cluster_access", lambda *_: access)
        done = opsctl("exec", "--stack", "dev")
        said = recorded()
        assert said["config"]["users"][0]["user"] == {"token": "planted-token"}
        assert said["config"]["clusters"][0]["cluster"]["server"] == "https://near"
        assert (said["mode"], Path(said["KUBECONFIG"]).exists()) == ("0o700", False), "it goes with the command"
        assert "planted-token" not in str(said["argv"]) + done.out + done.err


def test_a_function_takes_no_shell(opsctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    delivers(monkeypatch, {"topology": "lambda", "cluster": {"name": "f", "service": "live"}})
    done = opsctl("exec", "--stack", "dev", "sh")
    assert (done.code, "takes no shell" in done.err) == (2, True)


def edge(host: str, root: Path) -> dict[str, Any]:
    program = {"name": "service", "args": [], "environment": {"RAG_BUNDLE_DIR": ".edge/b", "RAG_TOP_K": "7"}}
    told = {"programs": [program], "listen": [], "host": host}
    there = {"base": str(root), "env": "env", "app": "app"}
    return {"type": "pulumi-python:dynamic/edge:EdgeService", "inputs": {**told, "release": there}}


class TestOnAnEdge:
    @pytest.fixture
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "app").mkdir()
        delivers(monkeypatch, {"topology": "hybrid"})
        monkeypatch.setattr("opsctl.shell.open.read_resources", lambda *_: [edge("local", tmp_path)])
        return tmp_path

    def test_a_command_runs_in_the_services_folder_with_its_settings_and_nothing_of_yours(
        self, opsctl: Run, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PLANTED", "mine")
        script = f"(pwd; echo $RAG_TOP_K $RAG_BUNDLE_DIR; echo ${{PLANTED-none}}) > {here}/said; exit 3"
        done = opsctl("exec", "--stack", "local", "--", "sh", "-c", script)
        assert done.code == 3, done.err
        assert (here / "said").read_text().splitlines() == [str(here / "app"), "7 .edge/b", "none"]

    def test_of_several_one_is_named(self, opsctl: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        two = [edge("local", here), edge("ssh://pi@shop", here)]
        monkeypatch.setattr("opsctl.shell.open.read_resources", lambda *_: two)
        done = opsctl("exec", "--stack", "local", "true")
        assert (done.code, "--edge: local, ssh://pi@shop" in done.err) == (2, True)
        assert opsctl("exec", "--stack", "local", "--edge", "local", "true").code == 0
