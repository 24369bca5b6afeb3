from __future__ import annotations

import pytest

from service.access.credentials import LONGEST_BYTES, presented
from service.errors import Unauthenticated

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer k")],
        [(b"authorization", b"bearer   k ")],
        [(b"authorization", b"BEARER k")],
        [(b"x-api-key", b"k")],
        [(b"x-api-key", b" k ")],
        [(b"authorization", b"Bearer k"), (b"x-api-key", b"k")],
        [(b"authorization", b"Basic dTpw"), (b"x-api-key", b"k")],
    ],
)
def test_a_key_is_read_from_either_header(headers: Headers) -> None:
    assert presented([(b"host", b"h"), *headers]) == b"k"


@pytest.mark.parametrize(
    ("headers", "with_credential"),
    [
        ([], False),
        ([(b"authorization", b"")], False),
        ([(b"authorization", b"Bearer ")], False),
        ([(b"authorization", b"Basic dTpw")], False),
        ([(b"authorization", b"k")], False),
        ([(b"x-api-key", b"")], False),
        ([(b"cookie", b"key=k")], False),
        ([(b"authorization", b"Bearer k"), (b"x-api-key", b"other")], True),
        ([(b"authorization", b"Bearer k"), (b"authorization", b"Bearer other")], True),
        ([(b"x-api-key", b"k" * (LONGEST_BYTES + 1))], True),
    ],
)
def test_anything_else_proves_nothing(headers: Headers, with_credential: bool) -> None:  # noqa: FBT001
    with pytest.raises(Unauthenticated) as refused:
        presented(headers)
    assert refused.value.presented is with_credential
