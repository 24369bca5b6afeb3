from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from service.access import key_book as module
from service.access.caller import Caller, Limits
from service.access.key_book import HashedKey, KeyBook
from tests.hashed_keys import hashed, key_book

ADA = hashed("ada", "ada-key", requestsPerMinute=5, usdPerHour=1.5)
BOB = hashed("bob", "bob-key")


def parsed(*keys: dict[str, Any]) -> KeyBook:
    return KeyBook.parse(key_book(*keys).encode())


def test_a_key_is_known_by_its_name_and_its_own_limits() -> None:
    book = parsed(ADA, BOB)
    assert book.caller(b"ada-key") == Caller("ada", Limits(5, Decimal("1.5")))
    assert book.caller(b"bob-key") == Caller("bob", Limits())


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"ada-ke",
        b"ada-key ",
        b"ADA-KEY",
        b"\xff\x00",
        pytest.param(ADA["sha256"].encode(), id="its hash"),
        b"ada",
    ],
)
def test_what_is_not_exactly_a_key_is_nobodys(key: bytes) -> None:
    assert parsed(ADA, BOB).caller(key) is None


@pytest.mark.parametrize("key", [b"key-0", b"key-4", b"nobody's"])
def test_every_entry_is_compared_with_whichever_matches(monkeypatch: pytest.MonkeyPatch, key: bytes) -> None:
    book = parsed(*(hashed(f"n{n}", f"key-{n}") for n in range(5)))
    compared: list[bytes] = []
    real = module.hmac.compare_digest

    def counted(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return real(a, b)

    monkeypatch.setattr(module.hmac, "compare_digest", counted)
    book.caller(key)
    assert len(compared) == 5


def test_the_salt_is_part_of_the_hash() -> None:
    other = ADA | {"salt": BOB["salt"]}
    assert parsed(other).caller(b"ada-key") is None


def test_an_empty_book_knows_nobody() -> None:
    assert parsed().caller(b"") is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "should be an object"),
        (b'{"default": "plain-key"}', "version: Field required"),
        (b'{"version": 2, "keys": []}', "version: "),
        (key_book(ADA, ADA).encode(), "two keys have the same name"),
        (key_book(ADA | {"salt": "00"}).encode(), "keys.0.salt: "),
        (key_book(ADA | {"sha256": ADA["sha256"][:-1]}).encode(), "keys.0.sha256: "),
        (key_book(ADA | {"name": "a b"}).encode(), "keys.0.name: "),
        (key_book(ADA | {"requestPerMinute": 1}).encode(), "keys.0.requestPerMinute: Extra inputs"),
        (key_book(ADA | {"requestsPerMinute": 0}).encode(), "keys.0.requestsPerMinute: "),
        (key_book(ADA | {"usdPerHour": -1}).encode(), "keys.0.usdPerHour: "),
    ],
)
def test_what_is_no_key_book_is_refused_in_one_line_that_quotes_nothing(document: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        KeyBook.parse(document)
    said = str(refused.value)
    assert "\n" not in said
    assert "plain-key" not in said
    assert ADA["sha256"][:-1] not in said


def test_a_thousand_keys_are_enough() -> None:
    one = HashedKey.model_validate(BOB)
    many = [json.loads(one.model_dump_json(by_alias=True, exclude_none=True)) | {"name": f"n{n}"} for n in range(1001)]
    with pytest.raises(ValueError, match="at most 1000"):
        parsed(*many)
