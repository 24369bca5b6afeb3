"""Secrets of AWS Secrets Manager, read by the process's own role."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from service.errors import StartupError

# Short and tried once: whoever reads does so again after a while.
ONCE = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
# A process that starts has nothing to fall back on.
THRICE = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})


class Secret:
    """One secret, named by its ARN, which also says the region.

    Raises:
        StartupError: it is none; names `setting`, which it was given in.
    """

    def __init__(self, arn: str, *, setting: str = "RAG_API_KEYS_FROM") -> None:
        self._arn = arn
        self._region = _region(arn, setting)
        self._client: Any = None

    def read(self) -> bytes:
        """The value that is current now; blocks.

        Raises:
            OSError: it can't be had; one line that says why.
        """
        try:
            # At the first call: a host that is offline may find no credentials when it starts.
            self._client = self._client or _client(self._region, ONCE)
        except BotoCoreError as exc:
            raise OSError(f"no AWS credentials ({type(exc).__name__})") from exc
        return _value(self._client, self._arn).encode()


class Secrets:
    """Several secrets by name, each by its ARN.

    Raises:
        StartupError: an ARN is none of a secret.
    """

    def __init__(self, arns: Mapping[str, str], *, setting: str) -> None:
        regions = {arn: _region(arn, f"{setting}: {name}") for name, arn in arns.items()}
        clients = {region: _client(region, THRICE) for region in set(regions.values())}
        self._arns = arns
        self._clients = {arn: clients[region] for arn, region in regions.items()}

    def read(self) -> dict[str, str | OSError]:
        """Name -> the value that is current now, or why it can't be had; side by side; blocks."""
        with ThreadPoolExecutor(max_workers=len(self._arns) or 1) as pool:
            return dict(zip(self._arns, pool.map(self._read, self._arns.values()), strict=True))

    def _read(self, arn: str) -> str | OSError:
        try:
            return _value(self._clients[arn], arn)
        except OSError as exc:
            return exc


def _region(arn: str, setting: str) -> str:
    match arn.split(":", maxsplit=6):
        case ["arn", _, "secretsmanager", region, _, "secret", _] if region:
            return region
        case _:
            raise StartupError(
                f"{setting}: {arn} is no ARN of a secret; give arn:aws:secretsmanager:<region>:<account>:secret:<name>"
            )


def _client(region: str, config: Config) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    return boto3.session.Session().client("secretsmanager", region_name=region, config=config)


def _value(client: Any, arn: str) -> str:  # noqa: ANN401 - as above
    try:
        return str(client.get_secret_value(SecretId=arn)["SecretString"])
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "an error")
        raise OSError(
            f"Secrets Manager answered {code}; the role needs secretsmanager:GetSecretValue on it "
            "and kms:Decrypt on its key"
        ) from exc
    except BotoCoreError as exc:
        raise OSError(f"Secrets Manager gave no answer ({type(exc).__name__})") from exc
    except KeyError:
        raise OSError("the secret holds no text") from None
