"""Small documents in S3 that are written only on top of the version that was read (If-Match, If-None-Match)."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self

from botocore.exceptions import ClientError

from opsctl.aws.session import client, translated
from opsctl.endpoint.ports import Conflict, Stored

OVERTAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}


@dataclass(frozen=True, slots=True)
class BucketDocument:
    """One object of a bucket."""

    s3: Any
    bucket: str
    key: str

    @classmethod
    def open(cls, region: str, bucket: str, key: str) -> Self:
        """Through a client of its own."""
        return cls(client("s3", region), bucket, key)

    @property
    def where(self) -> str:
        """Its address."""
        return f"s3://{self.bucket}/{self.key}"

    def read(self) -> Stored | None:
        """The newest version; its age is by S3's clock, so that an operator's clock doesn't matter."""
        with translated(self.where):
            try:
                found = self.s3.get_object(Bucket=self.bucket, Key=self.key)
            except ClientError as exc:
                if exc.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise
            text = found["Body"].read().decode()
        said = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Stored(text, found["ETag"], (said - found["LastModified"]).total_seconds())

    def write(self, text: str, on: str | None) -> str:
        """Write on top of version `on`; gives the new version.

        Raises:
            Conflict, CloudRefused, TimedOut
        """
        condition = {"IfNoneMatch": "*"} if on is None else {"IfMatch": on}
        with translated(self.where, to="write"):
            try:
                done = self.s3.put_object(
                    Bucket=self.bucket,
                    Key=self.key,
                    Body=text.encode(),
                    ContentType="application/json",
                    **condition,
                )
            except ClientError as exc:
                if exc.response["Error"]["Code"] in OVERTAKEN:
                    raise Conflict(f"{self.where} was written by somebody else", next_step="read it again") from exc
                raise
        return str(done["ETag"])
