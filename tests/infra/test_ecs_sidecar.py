"""llama.cpp beside the service: started first, stopped last, reached by nobody else, with its part of the task."""

import json
from typing import Any

import pytest

from infra import offline
from infra.components import container
from infra.errors import SizingError
from infra.sizing import split_task
from service import settings
from tests.infra.cloud_cases import program

IMAGE = "registry.example.com/llama@sha256:" + "2" * 64
SIDECAR = {
    "service": {"cpu": 4, "memoryGiB": 8},
    "generation": {
        "provider": "llamacpp",
        "model": "/models/small.gguf",
        "contextTokens": 2048,
        "llamacpp": {"image": IMAGE, "cpu": 3, "memoryGiB": 5},
    },
}


@pytest.fixture(scope="module")
def declared() -> offline.Program:
    return program("prod", **SIDECAR)


@pytest.fixture(scope="module")
def containers(declared: offline.Program) -> dict[str, dict[str, Any]]:
    made = json.loads(declared.one("TaskDefinition").inputs["containerDefinitions"])
    return {each["name"]: each for each in made}


def test_the_service_waits_until_the_model_is_loaded(containers: dict[str, dict[str, Any]]) -> None:
    assert containers["service"]["dependsOn"] == [{"containerName": "llama", "condition": "HEALTHY"}]
    check = containers["llama"]["healthCheck"]
    assert check["command"][-1] == "http://127.0.0.1:8081/health"
    assert check["startPeriod"] <= 300  # the most that ECS takes


def test_it_serves_the_model_of_its_image_on_loopback(containers: dict[str, dict[str, Any]]) -> None:
    llama = containers["llama"]
    options = dict(zip(llama["command"][::2], llama["command"][1::2], strict=True))
    assert llama["image"] == IMAGE
    assert (options["--model"], options["--host"], options["--ctx-size"]) == ("/models/small.gguf", "127.0.0.1", "2048")
    assert options["--threads"] == "3"
    assert "portMappings" not in llama
    assert "secrets" not in llama


def test_it_has_no_more_rights_than_the_service(containers: dict[str, dict[str, Any]]) -> None:
    for key in ("user", "readonlyRootFilesystem", "privileged", "linuxParameters", "stopTimeout"):
        assert containers["llama"][key] == containers["service"][key]
    mounts = [each["mountPoints"][0]["sourceVolume"] for each in containers.values()]
    assert len(set(mounts)) == 2


def test_the_two_share_the_task(declared: offline.Program, containers: dict[str, dict[str, Any]]) -> None:
    task = declared.one("TaskDefinition").inputs
    assert [(each["cpu"], each["memory"]) for each in containers.values()] == [(1024, 3072), (3072, 5120)]
    assert sum(each["cpu"] for each in containers.values()) == int(task["cpu"])
    assert sum(each["memory"] for each in containers.values()) == int(task["memory"])


def test_the_service_is_told_where_it_is(
    containers: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in containers["service"]["environment"]:
        monkeypatch.setenv(each["name"], each["value"])
    for each in containers["service"]["secrets"]:
        monkeypatch.setenv(each["name"], f"redis://{each['name']}")
    read = settings.load()
    assert (read.generator, read.llamacpp_url) == ("llamacpp", f"http://127.0.0.1:{container.LLAMA_PORT}")
    assert (read.generation_model, read.context_tokens) == ("/models/small.gguf", 2048)


def test_nothing_of_sagemaker_is_built(declared: offline.Program) -> None:
    assert declared.outputs["endpoint"] is None
    policy = json.loads(declared.one("rolePolicy:RolePolicy", "task-policy").inputs["policy"])
    assert not [each for each in policy["Statement"] if "sagemaker:InvokeEndpoint" in each["Action"]]


@pytest.mark.parametrize(("cpu", "gib"), [(2, 3), (1.9, 2), (1, 3.5), (3, 6)])
def test_a_sidecar_that_leaves_the_service_too_little_is_refused(cpu: float, gib: float) -> None:
    with pytest.raises(SizingError, match="leave the service"):
        split_task(2, 4, cpu, gib)
