"""The stack's bucket as the place of edge bundles: whole archives, and which of them is the newest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from opsctl.aws.documents import BucketDocument
from opsctl.aws.session import client, translated
from opsctl.aws.weights import ABSENT, DIGEST

if TYPE_CHECKING:
    from pathlib import Path

ARCHIVE = ".tar.zst"


@dataclass(frozen=True, slots=True)
class BundleBucket:
    """Port `opsctl.edge.export.Bucket` over S3; encryption is the bucket's own default."""

    name: str
    prefix: str
    s3: Any

    @classmethod
    def open(cls, name: str, prefix: str, region: str | None) -> Self:
        """Make the client."""
        with translated(f"bucket '{name}'"):
            return cls(name, prefix, client("s3", region))

    @property
    def latest(self) -> BucketDocument:
        """The pointer, written only on top of the version that was read."""
        return BucketDocument(self.s3, self.name, f"{self.prefix}latest.json")

    def holds(self, key: str, size: int, sha256: str) -> bool:
        with translated(f"s3://{self.name}/{key}"):
            try:
                found = self.s3.head_object(Bucket=self.name, Key=key)
            except ClientError as exc:
                if exc.response["Error"]["Code"] in ABSENT:
                    return False
                raise
        return bool(found["ContentLength"] == size and found["Metadata"].get(DIGEST) == sha256)

    def upload(self, key: str, archive: Path, sha256: str) -> None:
        extra = {"Metadata": {DIGEST: sha256}, "ChecksumAlgorithm": "SHA256", "ContentType": "application/zstd"}
        with translated(f"s3://{self.name}/{key}", to="write"):
            self.s3.upload_file(str(archive), self.name, key, ExtraArgs=extra)

    def archives(self) -> list[str]:
        with translated(f"s3://{self.name}/{self.prefix}"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
            return sorted(each["Key"] for page in pages for each in page.get("Contents", ()) if _archive(each["Key"]))

    def remove(self, key: str) -> None:
        with translated(f"s3://{self.name}/{key}", to="delete"):
            self.s3.delete_object(Bucket=self.name, Key=key)


def _archive(key: str) -> bool:
    return key.endswith(ARCHIVE)
