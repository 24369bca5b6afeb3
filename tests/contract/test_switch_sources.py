"""Where the emergency switches are kept: Parameter Store as boto3 asks it, and a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.adapters.ssm_parameter import SsmParameter
from service.adapters.switch_file import SwitchFile
from service.errors import StageUnavailable, StartupError
from tests.fake_sagemaker import KEYS
from tests.real_processes import Door

NAME = "/rag/dev/switches"


@dataclass
class Parameters:
    """The one call of Systems Manager's API that is made, in its wire format."""

    values: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append((request.headers["x-amz-target"], body))
        if self.refusal is not None:
            status, code = self.refusal
            return JSONResponse({"__type": code, "message": "planted-account-number"}, status)
        value = self.values.get(body["Name"])
        if value is None:
            return JSONResponse({"__type": "ParameterNotFound"}, 400)
        return JSONResponse({"Parameter": {"Name": body["Name"], "Type": "String", "Value": value}})


@pytest.fixture
def parameters(door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parameters]:
    parameters = Parameters()
    with door.opened(parameters.app()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
        yield parameters


async def test_the_parameters_value_is_the_document(parameters: Parameters) -> None:
    parameters.values[NAME] = json.dumps({"expansion": False})
    assert await SsmParameter.open(NAME, region="eu-north-1").read() == b'{"expansion": false}'
    assert parameters.asked == [("AmazonSSM.GetParameter", {"Name": NAME})]


async def test_a_parameter_that_is_not_there_is_no_document(parameters: Parameters) -> None:
    assert await SsmParameter.open(NAME, region="eu-north-1").read() is None


@pytest.mark.parametrize(
    ("status", "code"), [(400, "AccessDeniedException"), (400, "ThrottlingException"), (500, "InternalServerError")]
)
async def test_a_refusal_is_said_once_without_its_text(parameters: Parameters, status: int, code: str) -> None:
    parameters.refusal = (status, code)
    with pytest.raises(StageUnavailable, match=f"switches: SSM answered {code} for {NAME}") as refused:
        await SsmParameter.open(NAME, region="eu-north-1").read()
    assert "planted-account-number" not in refused.value.detail
    assert len(parameters.asked) == 1


def test_without_a_region_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StartupError, match="AWS_REGION: no region is set"):
        SsmParameter.open(NAME, region=None)


async def test_a_file_is_read_as_it_is_and_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    assert await SwitchFile(path).read() is None
    path.write_text('{"cache": false}')
    assert await SwitchFile(path).read() == b'{"cache": false}'
    with pytest.raises(StageUnavailable, match="Is a directory"):
        await SwitchFile(tmp_path).read()
