"""Bundles in an S3 bucket, read by the host's own identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from service.bundle_sync import Pointer

LATEST = "latest.json"
BLOCK_BYTES = 1024 * 1024
# Tried once: the next look is the next try, and a download goes on where it was cut.
ONCE = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1})
ABSENT = {"404", "NoSuchKey", "NotFound"}


class BundleBucket:
    """`service.bundle_sync.Store` over one prefix."""

    def __init__(self, bucket: str, prefix: str, *, region: str | None) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._region = region
        self._client: Any = None

    def latest(self) -> Pointer | None:
        key = f"{self._prefix}{LATEST}"
        try:
            body = self._open().get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as exc:
            if exc.response.get("Error", {}).get("Code") in ABSENT:
                return None
            raise self._refused(exc) from exc
        except (BotoCoreError, HTTPError) as exc:
            raise self._no_answer(exc) from exc
        try:
            return Pointer.model_validate_json(body)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            raise OSError(f"s3://{self._bucket}/{key} can't be read: {first['msg']}; export again") from exc

    def read(self, key: str, offset: int) -> Iterator[bytes]:
        try:
            found = self._open().get_object(Bucket=self._bucket, Key=key, Range=f"bytes={offset}-")
            yield from found["Body"].iter_chunks(BLOCK_BYTES)
        except ClientError as exc:
            raise self._refused(exc) from exc
        except (BotoCoreError, HTTPError) as exc:  # the latter where the connection is cut
            raise self._no_answer(exc) from exc

    def _open(self) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        if self._client is None:
            session = boto3.session.Session()
            session._session.set_default_client_config(ONCE)  # noqa: SLF001 - as in adapters.cloudwatch
            self._client = session.client("s3", region_name=self._region, config=ONCE)
        return self._client

    def _refused(self, exc: ClientError) -> OSError:
        code = exc.response.get("Error", {}).get("Code", "an error")
        return OSError(f"S3 answered {code}; the edge's role needs s3:GetObject on {self._bucket}/{self._prefix}*")

    def _no_answer(self, exc: Exception) -> OSError:
        return OSError(f"no answer from S3 ({type(exc).__name__})")
