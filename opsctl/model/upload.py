"""Copy a model into the stack's bucket: file by file, part by part, going on where a killed run stopped.

A file that is there is not sent again; of one that is half there, only the parts that are missing. Every byte of such a
file is read and hashed, so that it is closed only if it is what its source announced; S3 checks each part on arrival.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from opsctl.errors import CheckFailed
from opsctl.model.copies import Copy, copy_of, manifest_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsctl.model.weights import WeightFile, Weights

PART_BYTES = 64 * 2**20  # S3 takes 10,000 parts of a file: up to 625 GiB
PARALLEL = 4  # parts on their way, and in memory, at a time


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the bucket holds.

    Attributes:
        sha256: None where the bucket doesn't list checksums; the tag is the MD5 then, as in stores that speak S3.
    """

    number: int
    tag: str
    sha256: str | None = None

    def matches(self, content: bytes) -> bool:
        """Whether it is this content."""
        if self.sha256 is not None:
            return self.sha256 == _sha256(content)
        return self.tag.strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()


class Bucket(Protocol):
    """What a copy asks of a bucket. An `upload` names a file that was begun and isn't closed."""

    def read(self, key: str) -> bytes | None:
        """The content of an object; None where there is none."""
        ...

    def holds(self, key: str, size: int, sha256: str) -> bool:
        """Whether the object is there, of this size, closed as having this SHA-256."""
        ...

    def write(self, key: str, content: bytes, sha256: str) -> None:
        """Write an object at once."""
        ...

    def resume(self, key: str, sha256: str) -> str:
        """The upload of `key` that a killed run began, or a new one."""
        ...

    def parts(self, key: str, upload: str) -> Mapping[int, Part]:
        """The parts that an upload has, by number."""
        ...

    def write_part(self, key: str, upload: str, number: int, content: bytes) -> Part:
        """Send a part."""
        ...

    def close(self, key: str, upload: str, parts: list[Part]) -> None:
        """Make the object of its parts."""
        ...

    def abandon(self, key: str, upload: str) -> None:
        """Drop an upload and its parts."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """A whole copy, and what this run sent for it."""

    copy: Copy
    sent_bytes: int
    sent_files: int


@dataclass(frozen=True, slots=True)
class Upload:
    """One copy on its way; `tell` is given each file and how many bytes of it are done since it was told last."""

    weights: Weights
    bucket: Bucket
    tell: Callable[[str, int], None]
    part_bytes: int = PART_BYTES

    def run(self) -> Result:
        """Copy what the bucket lacks, then say in a manifest that the copy is whole.

        Raises:
            CheckFailed: a file isn't what its source announced.
            CloudRefused, TimedOut
        """
        copy, sent = copy_of(self.weights), []
        for file in self.weights.files:
            key = copy.prefix + file.path
            if self.bucket.holds(key, file.size, file.sha256):
                self.tell(file.path, file.size)
            else:
                sent.append(self._in_parts(file, key) if file.size > self.part_bytes else self._whole(file, key))
        manifest = copy.model_dump_json(indent=2).encode()
        if self.bucket.read(manifest_key(copy.model)) != manifest:
            self.bucket.write(manifest_key(copy.model), manifest, _sha256(manifest))
        return Result(copy, sum(sent), len(sent))

    def _whole(self, file: WeightFile, key: str) -> int:
        content = self.weights.read(file, 0, file.size)
        _check(file, _sha256(content))
        self.bucket.write(key, content, file.sha256)
        self.tell(file.path, file.size)
        return file.size

    def _in_parts(self, file: WeightFile, key: str) -> int:
        upload = self.bucket.resume(key, file.sha256)
        there, digest, parts, sent = self.bucket.parts(key, upload), hashlib.sha256(), [], 0

        def transfer(number: int) -> tuple[Part, bytes]:
            start = (number - 1) * self.part_bytes
            content = self.weights.read(file, start, min(start + self.part_bytes, file.size))
            known = there.get(number)
            if known is not None and known.matches(content):
                return known, content
            return self.bucket.write_part(key, upload, number, content), content

        count = -(-file.size // self.part_bytes)
        with ThreadPoolExecutor(PARALLEL) as pool:
            for first in range(1, count + 1, PARALLEL):
                for part, content in pool.map(transfer, range(first, min(first + PARALLEL, count + 1))):
                    digest.update(content)
                    sent += len(content) if part is not there.get(part.number) else 0
                    parts.append(part)
                    self.tell(file.path, len(content))
        if digest.hexdigest() != file.sha256:
            self.bucket.abandon(key, upload)
        _check(file, digest.hexdigest())
        self.bucket.close(key, upload, parts)
        return sent


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check(file: WeightFile, found: str) -> None:
    if found != file.sha256:
        raise CheckFailed(
            f"{file.path} isn't what its source announced: SHA-256 {found[:12]}..., not {file.sha256[:12]}...",
            next_step="it changed or broke on its way; run it again",
        )
