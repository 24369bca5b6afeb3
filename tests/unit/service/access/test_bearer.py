"""A key for another service, kept elsewhere."""

from __future__ import annotations

import pytest

from service.access.bearer import TTL_S, Bearer


class Place:
    def __init__(self) -> None:
        self.content: bytes | None = None
        self.reads = 0
        self.now = 0.0

    def read(self) -> bytes:
        self.reads += 1
        if self.content is None:
            raise OSError("offline")
        return self.content


def made() -> tuple[Bearer, Place]:
    place = Place()
    return Bearer(place.read, clock=lambda: place.now), place


async def test_nothing_is_read_before_it_is_needed_and_a_failure_is_no_end() -> None:
    bearer, place = made()
    assert place.reads == 0
    with pytest.raises(OSError, match="offline"):
        await bearer.value()
    place.content = b"key-1\n"
    assert await bearer.value() == "key-1"


async def test_a_changed_key_is_shown_after_a_while_and_the_old_one_until_then() -> None:
    bearer, place = made()
    place.content = b"key-1"
    assert await bearer.value() == "key-1"
    place.content = b"key-2"
    assert await bearer.value() == "key-1"
    place.now += TTL_S
    assert await bearer.value() == "key-2"
    assert place.reads == 2


async def test_the_last_key_holds_while_its_place_is_away() -> None:
    bearer, place = made()
    place.content = b"key-1"
    assert await bearer.value() == "key-1"
    place.content = None
    place.now += TTL_S
    assert await bearer.value() == "key-1"
    assert "key-1" not in repr(bearer)
