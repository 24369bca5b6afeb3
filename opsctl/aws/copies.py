"""Copies of data stores in a bucket: which there are, and which of them were finished."""

from __future__ import annotations

from dataclasses import dataclass

from opsctl.aws.session import client, translated

LIST = "manifest.json"  # written last: a copy without it was never finished


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy.

    Attributes:
        stamp: when it was made, in UTC: its folder's name.
        size: of its files, in bytes.
    """

    store: str
    stamp: str
    uri: str
    finished: bool
    size: int


def copies(region: str | None, place: str, store: str) -> tuple[Copy, ...]:
    """The copies of one store under `place` (s3://bucket/prefix), newest first.

    Raises:
        CloudRefused, TimedOut
    """
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    root = f"{prefix}/{store}/"
    sizes: dict[str, int] = {}
    finished: set[str] = set()
    with translated(f"the copies in s3://{bucket}/{root}"):
        pages = client("s3", region).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root)
        for page in pages:
            for each in page.get("Contents", ()):
                stamp, _, name = str(each["Key"]).removeprefix(root).partition("/")
                sizes[stamp] = sizes.get(stamp, 0) + int(each["Size"])
                finished |= {stamp} if name == LIST else set()
    return tuple(
        Copy(store, stamp, f"s3://{bucket}/{root}{stamp}", stamp in finished, sizes[stamp])
        for stamp in sorted(sizes, reverse=True)
    )
