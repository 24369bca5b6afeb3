"""The stack's bucket as a place for model weights: whole objects, and uploads in parts that outlive the run."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated
from opsctl.model.upload import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST = "sha256"  # user metadata: S3's own checksum of an object in parts is one of its parts' checksums
ABSENT = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True, slots=True)
class WeightsBucket:
    """Port `opsctl.model.upload.Bucket` over S3; encryption is the bucket's own default."""

    name: str
    s3: Any

    @classmethod
    def open(cls, name: str, region: str | None) -> Self:
        """Make the client."""
        with translated(f"bucket '{name}'"):
            return cls(name, client("s3", region))

    def read(self, key: str) -> bytes | None:
        with translated(f"s3://{self.name}/{key}"):
            try:
                return bytes(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read())
            except ClientError as exc:
                if exc.response["Error"]["Code"] in ABSENT:
                    return None
                raise

    def holds(self, key: str, size: int, sha256: str) -> bool:
        with translated(f"s3://{self.name}/{key}"):
            try:
                found = self.s3.head_object(Bucket=self.name, Key=key)
            except ClientError as exc:
                if exc.response["Error"]["Code"] in ABSENT:
                    return False
                raise
        return bool(found["ContentLength"] == size and found["Metadata"].get(DIGEST) == sha256)

    def write(self, key: str, content: bytes, sha256: str) -> None:
        with translated(f"s3://{self.name}/{key}", to="write"):
            self.s3.put_object(
                Bucket=self.name, Key=key, Body=content, ChecksumSHA256=_base64(sha256), Metadata={DIGEST: sha256}
            )

    def resume(self, key: str, sha256: str) -> str:
        with translated(f"uploads to s3://{self.name}/{key}"):
            pages = self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=key)
            begun = [each for page in pages for each in page.get("Uploads", []) if each["Key"] == key]
            if begun:
                return str(max(begun, key=lambda each: each["Initiated"])["UploadId"])
        with translated(f"s3://{self.name}/{key}", to="write"):
            made = self.s3.create_multipart_upload(
                Bucket=self.name, Key=key, ChecksumAlgorithm="SHA256", Metadata={DIGEST: sha256}
            )
            return str(made["UploadId"])

    def parts(self, key: str, upload: str) -> Mapping[int, Part]:
        with translated(f"parts of s3://{self.name}/{key}"):
            pages = self.s3.get_paginator("list_parts").paginate(Bucket=self.name, Key=key, UploadId=upload)
            return {
                each["PartNumber"]: _part(each, each["PartNumber"]) for page in pages for each in page.get("Parts", [])
            }

    def write_part(self, key: str, upload: str, number: int, content: bytes) -> Part:
        with translated(f"part {number} of s3://{self.name}/{key}", to="write"):
            sent = self.s3.upload_part(
                Bucket=self.name, Key=key, UploadId=upload, PartNumber=number, Body=content, ChecksumAlgorithm="SHA256"
            )
        return _part(sent, number)

    def close(self, key: str, upload: str, parts: list[Part]) -> None:
        listed = [
            {"PartNumber": each.number, "ETag": each.tag}
            | ({"ChecksumSHA256": _base64(each.sha256)} if each.sha256 else {})
            for each in parts
        ]
        with translated(f"s3://{self.name}/{key}", to="write"):
            self.s3.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}
            )

    def abandon(self, key: str, upload: str) -> None:
        with translated(f"the upload to s3://{self.name}/{key}", to="drop"):
            self.s3.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)


def _part(said: Mapping[str, Any], number: int) -> Part:
    listed = said.get("ChecksumSHA256")
    return Part(number, str(said["ETag"]), b64decode(listed).hex() if listed else None)


def _base64(sha256: str) -> str:
    return b64encode(bytes.fromhex(sha256)).decode()
