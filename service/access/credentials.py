"""What a request presents as proof of who sends it: a bearer token or X-API-Key. A query string is never read."""

from __future__ import annotations

from collections.abc import Iterable

from service.errors import Unauthenticated

BEARER = b"bearer "
LONGEST_BYTES = 8192  # of a credential; a signed token with many claims stays below it


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The credential among the headers, names in lower case.

    Raises:
        Unauthenticated: there is none, or there are two that differ, or it is longer than any real one.
    """
    found = {
        value[len(BEARER) :].strip() if name == b"authorization" else value.strip()
        for name, value in headers
        if name == b"x-api-key" or (name == b"authorization" and value[: len(BEARER)].lower() == BEARER)
    } - {b""}
    if not found:
        raise Unauthenticated("send `Authorization: Bearer <key or token>`, or X-API-Key", presented=False)
    if len(found) > 1:
        raise Unauthenticated("the request presents credentials that differ; send one")
    (credential,) = found
    if len(credential) > LONGEST_BYTES:
        raise Unauthenticated(f"the credential is over {LONGEST_BYTES} bytes")
    return credential
