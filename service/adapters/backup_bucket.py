"""Files of backups in an S3 bucket, written and read as streams by the role of the process."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BLOCK_BYTES = 1024 * 1024
PATIENT = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 4, "mode": "standard"})
# Parts of 32 MiB make 312 GiB the largest file; two at a time keep to the memory of a small pod.
TRANSFER = TransferConfig(multipart_chunksize=32 * BLOCK_BYTES, max_concurrency=2)


class BackupBucket:
    """`service.jobs.backup_folder.Folder` over one prefix."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self._client: Any = boto3.session.Session().client("s3", config=PATIENT)

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        with self._translated(name, "s3:PutObject"):
            self._client.upload_fileobj(
                io.BufferedReader(_Stream(blocks), BLOCK_BYTES), self._bucket, self._prefix + name, Config=TRANSFER
            )

    def read(self, name: str) -> Iterator[bytes]:
        with self._translated(name, "s3:GetObject"):
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            yield from found["Body"].iter_chunks(BLOCK_BYTES)

    @contextmanager
    def _translated(self, name: str, action: str) -> Iterator[None]:
        where = f"s3://{self._bucket}/{self._prefix}{name}"
        try:
            yield
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "an error")
            raise OSError(f"{where}: S3 answered {code}; the role needs {action} and the use of its key") from exc
        except (BotoCoreError, boto3.exceptions.Boto3Error) as exc:
            raise OSError(f"{where}: no answer from S3 ({type(exc).__name__})") from exc


class _Stream(io.RawIOBase):
    """Blocks as a file."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:  # noqa: ANN401 - a buffer
        while not self._held:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._held = block
        size = min(len(into), len(self._held))
        into[:size] = self._held[:size]
        self._held = self._held[size:]
        return size
