"""Bearer tokens of an OpenID Connect provider: signed by it, for this service, and not over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from service.access.caller import Caller
from service.access.credentials import presented
from service.access.signing_keys import ALGORITHMS, SigningKeys
from service.errors import Unauthenticated

if TYPE_CHECKING:
    from service.access.authentication import Headers

LEEWAY_S = 30  # clocks differ
REQUIRED = ["exp", "iss", "aud", "sub"]
# Whatever else a token does to its parser (depth, numbers, types), it proves nothing.
UNREADABLE = (jwt.PyJWTError, RecursionError, TypeError, ValueError)
LONGEST_SUBJECT = 255  # OpenID Connect Core, section 2


class OidcTokens:
    """Callers are the subjects of tokens."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def caller(self, headers: Headers) -> Caller:
        """Whom the token is about.

        Raises:
            Unauthenticated: it is none, or not for this service, or not valid now; the reason quotes nothing of it.
            NotReady: nobody can be told yet, since the provider's keys are not known.
        """
        token = presented(headers)
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("alg")) not in ALGORITHMS:
                raise Unauthenticated(f"the token is not signed by one of {', '.join(sorted(ALGORITHMS))}")
            key = await self._keys.find(header.get("kid"))
            if key is None:
                raise Unauthenticated("the token is signed with a key that the identity provider does not publish")
            subject = self._claims(token, key)["sub"]
        except UNREADABLE as exc:
            raise Unauthenticated(f"the token is refused: {_reason(exc)}") from exc
        if not 0 < len(subject) <= LONGEST_SUBJECT:
            raise Unauthenticated("the token is refused: its subject is empty or too long")
        return Caller(subject)

    def _claims(self, token: bytes, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_S,
            options={"require": REQUIRED, "enforce_minimum_key_length": True},
        )


def _reason(exc: Exception) -> str:
    """In words of our own: the library's may quote a claim."""
    reasons: dict[type[Exception], str] = {
        jwt.ExpiredSignatureError: "it is expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidAudienceError: "it is for another audience",
        jwt.InvalidIssuerError: "it is from another issuer",
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.MissingRequiredClaimError: f"it lacks one of {', '.join(REQUIRED)}",
    }
    return reasons.get(type(exc), "it is no signed JSON web token")
