"""Edit a key book in a file, for a service outside the cloud; a stack's own book is made by `pulumi up`.

    python -m service.jobs.api_key add BOOK NAME [--requests-per-minute N] [--usd-per-hour X]
    python -m service.jobs.api_key revoke BOOK NAME

`add` prints the new key, once: the book keeps its hash only. A name that is there already gets another key, and the old
one ends. A running service takes the change within a minute.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pydantic import ValidationError

from service.access.caller import Limits
from service.access.key_book import HashedKey, KeyBook

KEY_BYTES = 32


def add(book: Path, name: str, limits: Limits) -> str:
    """Write a new key for `name` into the book, which is made where there is none; the key."""
    key = secrets.token_urlsafe(KEY_BYTES)
    hashed = HashedKey.of(name, key.encode(), limits)
    known = _read(book) if book.exists() else KeyBook(version=1, keys=())
    _replace(book, known.without(name).having(hashed))
    return key


def revoke(book: Path, name: str) -> None:
    """Take the key of `name` out of the book.

    Raises:
        ValueError: it is not there.
    """
    known = _read(book)
    if name not in {key.name for key in known.keys}:
        raise ValueError(f"{book} has no key named {name}")
    _replace(book, known.without(name))


def _read(book: Path) -> KeyBook:
    try:
        return KeyBook.parse(book.read_bytes())
    except ValueError as exc:
        raise ValueError(f"{book} is no key book: {exc}") from exc


def _replace(book: Path, content: KeyBook) -> None:
    """In one step: a reader sees the old book or the new one. Only its owner may read it."""
    handle, written = tempfile.mkstemp(dir=book.parent, prefix=book.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n")
    Path(written).replace(book)


def main(argv: list[str]) -> int:
    """Exit code 0, or 1 with one line of what is wrong."""
    parser = argparse.ArgumentParser(prog="api_key", description="Add a key to a key book, or revoke one.")
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("add", "revoke"):
        its = actions.add_parser(action)
        its.add_argument("book", type=Path)
        its.add_argument("name")
        if action == "add":
            its.add_argument("--requests-per-minute", type=int)
            its.add_argument("--usd-per-hour", type=_usd)
    try:
        asked = parser.parse_args(argv)
        if asked.action == "revoke":
            revoke(asked.book, asked.name)
        else:
            sys.stdout.write(add(asked.book, asked.name, Limits(asked.requests_per_minute, asked.usd_per_hour)) + "\n")
    except (OSError, ValueError) as exc:
        sys.stderr.write(f"api_key: {_reason(exc)}\n")
        return 1
    return 0


def _usd(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text} is no amount in USD") from None


def _reason(exc: Exception) -> str:
    if isinstance(exc, ValidationError):
        first = exc.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(exc)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
