"""A document in Systems Manager's Parameter Store, read by the role of the task, pod or host."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    from botocore.client import BaseClient

STAGE = "switches"
CONNECT_S, READ_S = 2.0, 2.0
ABSENT = "ParameterNotFound"


class SsmParameter:
    """SwitchSource port over one parameter."""

    def __init__(self, client: BaseClient, name: str) -> None:
        self._client: Any = client  # boto3 makes its methods at run time
        self._name = name

    @classmethod
    def open(cls, name: str, *, region: str | None) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: no region is set.
        """
        once = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 1})
        try:
            return cls(boto3.client("ssm", region_name=region, config=once), name)
        except NoRegionError as exc:
            raise StartupError("AWS_REGION: no region is set; set it to that of RAG_SWITCHES_FROM") from exc

    async def read(self) -> bytes | None:
        """The parameter's value, None where there is no such parameter."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes | None:
        try:
            value: str = self._client.get_parameter(Name=self._name)["Parameter"]["Value"]
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "an error")
            if code == ABSENT:
                return None
            raise StageUnavailable(
                STAGE, f"SSM answered {code} for {self._name}; the role needs ssm:GetParameter on it"
            ) from exc
        except BotoCoreError as exc:
            raise StageUnavailable(STAGE, f"SSM gave no answer for {self._name} ({type(exc).__name__})") from exc
        return value.encode()
