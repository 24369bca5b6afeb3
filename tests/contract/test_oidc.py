"""Bearer tokens against a provider on a real port, with real keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from service.access.signing_keys import SigningKeys
from service.access.tokens import LEEWAY_S, OidcTokens
from service.adapters.oidc_provider import OidcProvider
from service.errors import NotReady, StartupError, Unauthenticated
from service.settings import Settings
from tests.identity_provider import AUDIENCE, Provider, ec_key, provider, published, rsa_key, tampered
from tests.in_process import calling
from tests.real_processes import Door, free_port

RSA, EC, OTHER = rsa_key(), ec_key(), rsa_key()
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - is refused
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
INTERVAL_S = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def idp(door: Door) -> Iterator[Provider]:
    with provider(door, published(RSA, "rsa", alg="RS256"), published(EC, "ec"), published(WEAK, "weak")) as one:
        yield one


@asynccontextmanager
async def tokens(idp: Provider, clock: Clock | None = None) -> AsyncIterator[OidcTokens]:
    source = OidcProvider.open(idp.issuer)
    keys = SigningKeys(source.key_set, interval_s=INTERVAL_S, clock=clock or Clock())
    await keys.renew()
    yield OidcTokens(keys, issuer=idp.issuer, audience=AUDIENCE)
    await source.aclose()


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {token}".encode())]


GOOD: dict[str, Callable[[Provider], str]] = {
    "RS256": lambda idp: idp.token(RSA, "rsa"),
    "ES256 by a key that says no algorithm": lambda idp: idp.token(EC, "ec", "ES256"),
    "several audiences": lambda idp: idp.token(RSA, "rsa", aud=["other", AUDIENCE]),
    "expired within the leeway": lambda idp: idp.token(RSA, "rsa", exp=time.time() - LEEWAY_S / 2),
    "without nbf": lambda idp: idp.token(RSA, "rsa", nbf=None),
}

BAD: dict[str, tuple[Callable[[Provider], str], str]] = {
    "expired": (lambda idp: idp.token(RSA, "rsa", exp=time.time() - LEEWAY_S - 60), "it is expired"),
    "not valid yet": (lambda idp: idp.token(RSA, "rsa", nbf=time.time() + LEEWAY_S + 60), "it is not valid yet"),
    "never ending": (lambda idp: idp.token(RSA, "rsa", exp=None), "it lacks one of exp"),
    "of another issuer": (lambda idp: idp.token(RSA, "rsa", iss="https://evil.example"), "from another issuer"),
    "for another audience": (lambda idp: idp.token(RSA, "rsa", aud="billing"), "for another audience"),
    "for no audience": (lambda idp: idp.token(RSA, "rsa", aud=None), "it lacks one of"),
    "about nobody": (lambda idp: idp.token(RSA, "rsa", sub=None), "it lacks one of"),
    "about an empty name": (lambda idp: idp.token(RSA, "rsa", sub=""), "its subject is empty"),
    "about a very long name": (lambda idp: idp.token(RSA, "rsa", sub="x" * 256), "or too long"),
    "signed by another key": (lambda idp: idp.token(OTHER, "rsa"), "its signature is wrong"),
    "changed after it was signed": (lambda idp: tampered(idp.token(RSA, "rsa"), sub="root"), "its signature is wrong"),
    "of an unknown key": (lambda idp: idp.token(OTHER, "new"), "a key that the identity provider does not publish"),
    "naming no key of several": (lambda idp: idp.token(RSA, None), "does not publish"),
    "of a weak key": (lambda idp: idp.token(WEAK, "weak"), "it is no signed JSON web token"),
    "by an algorithm that is not the key's": (lambda idp: idp.token(RSA, "rsa", "RS512"), "no signed JSON web token"),
    "by PS256": (lambda idp: idp.token(RSA, "rsa", "PS256"), "not signed by one of ES256"),
    "unsigned": (lambda idp: idp.token(None, "rsa", "none"), "not signed by one of ES256"),
    "signed with the public key as a password": (lambda idp: hs256(idp, PUBLIC_PEM), "not signed by one of ES256"),
    "an API key": (lambda _: "k" * 43, "it is no signed JSON web token"),
    "three dots": (lambda _: "...", "it is no signed JSON web token"),
}  # fmt: skip


def hs256(idp: Provider, secret: bytes) -> str:
    """As an attacker signs it: the library refuses to use a public key so."""
    head, body, _ = idp.token(b"x" * 32, "rsa", "HS256").split(".")
    signature = hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


@pytest.mark.parametrize("case", GOOD)
async def test_a_token_of_the_provider_for_this_service_names_its_subject(idp: Provider, case: str) -> None:
    async with tokens(idp) as checked:
        assert (await checked.caller(bearer(GOOD[case](idp)))).name == "ada"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # signing with one on purpose
@pytest.mark.parametrize("case", BAD)
async def test_any_other_token_is_refused_with_a_reason_that_quotes_nothing(idp: Provider, case: str) -> None:
    make, reason = BAD[case]
    token = make(idp)
    async with tokens(idp) as checked:
        with pytest.raises(Unauthenticated, match=reason) as refused:
            await checked.caller(bearer(token))
    assert "evil.example" not in refused.value.detail
    assert token not in refused.value.detail


HEADERS = [
    b"[" * 5000, b'{"a":' * 1200, b"[]", b"7", b"null", b"\xff",
    b'{"alg":"RS256","kid":"rsa","n":' + b"9" * 5000 + b"}",
    b'{"alg":["RS256"],"kid":"rsa"}', b'{"alg":{},"kid":"rsa"}', b'{"alg":"RS256","kid":["rsa"]}', b'{"kid":"rsa"}',
    b'{"alg":"ES256","kid":"rsa"}', b'{"alg":"RS256","kid":"ec"}', b'{"alg":"RS256","kid":"rsa","crit":["x"]}',
    b'{"alg":"RS256","kid":"rsa"}',
]  # fmt: skip
CLAIMS = [b"[" * 3000, b"{}", b"7", b"\xff", b'{"exp":"x"}', b'{"exp":1e400}', b'{"exp":NaN,"sub":1,"aud":{}}']


async def test_whatever_a_token_is_made_of_it_is_refused_and_nothing_breaks(idp: Provider) -> None:
    async with tokens(idp) as checked:
        for head, claims in itertools.product(HEADERS, CLAIMS):
            signed = b".".join(jwt.utils.base64url_encode(part) for part in (head, claims))
            signature = RSA.sign(signed, padding.PKCS1v15(), hashes.SHA256())  # as if the provider had been tricked
            for last in (signature, b"", b"garbage"):
                token = signed + b"." + jwt.utils.base64url_encode(last)
                with pytest.raises(Unauthenticated):
                    await checked.caller([(b"authorization", b"Bearer " + token)])


async def test_a_key_that_is_published_later_is_found_and_a_withdrawn_one_ends(idp: Provider) -> None:
    clock = Clock()
    async with tokens(idp, clock) as checked:
        clock.now += INTERVAL_S
        idp.keys = [published(OTHER, "new"), published(EC, "ec")]
        assert (await checked.caller(bearer(idp.token(OTHER, "new")))).name == "ada"
        with pytest.raises(Unauthenticated, match="does not publish"):
            await checked.caller(bearer(idp.token(RSA, "rsa")))


async def test_invented_key_ids_make_one_request_per_interval(idp: Provider) -> None:
    clock = Clock()
    async with tokens(idp, clock) as checked:

        async def refused(n: int) -> bool:
            try:
                await checked.caller(bearer(idp.token(OTHER, f"invented-{n}")))
            except Unauthenticated:
                return True
            return False

        idp.asked.clear()
        assert all(await asyncio.gather(*(refused(n) for n in range(20))))
        assert idp.asked == []  # they were fetched a moment ago
        clock.now += INTERVAL_S
        assert all(await asyncio.gather(*(refused(n) for n in range(20))))
        assert idp.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_provider_that_is_down_ends_nobodys_access(idp: Provider) -> None:
    clock = Clock()
    async with tokens(idp, clock) as checked:
        idp.status = 503
        clock.now += INTERVAL_S
        with pytest.raises(Unauthenticated, match="does not publish"):
            await checked.caller(bearer(idp.token(OTHER, "new")))
        assert (await checked.caller(bearer(idp.token(RSA, "rsa")))).name == "ada"


async def test_a_provider_that_is_down_from_the_start_is_waited_for(idp: Provider) -> None:
    clock, idp.status = Clock(), 503
    async with tokens(idp, clock) as checked:
        with pytest.raises(NotReady) as not_yet:
            await checked.caller(bearer(idp.token(RSA, "rsa")))
        assert not_yet.value.retry_after_s == INTERVAL_S
        idp.status = 200
        clock.now += INTERVAL_S
        assert (await checked.caller(bearer(idp.token(RSA, "rsa")))).name == "ada"


async def test_a_single_key_needs_no_id(idp: Provider) -> None:
    idp.keys = [published(RSA, "rsa")]
    async with tokens(idp) as checked:
        assert (await checked.caller(bearer(idp.token(RSA, None)))).name == "ada"


@pytest.mark.parametrize(
    ("described", "keys", "reason"),
    [
        ({"issuer": "https://other.example"}, None, "names another issuer"),
        ({"jwks_uri": "http://keys.example/"}, None, "not https://"),
        ({"jwks_uri": None}, None, "not https://"),
        ({}, [], "no key for signatures"),
        ({}, [{"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"}], "no key for signatures"),
        ({}, [published(RSA, "rsa", use="enc")], "no key for signatures"),
        ({}, [{"kid": "rsa"}, "rsa", {"kty": "RSA", "n": "?"}], "no key for signatures"),
    ],
)  # fmt: skip
async def test_what_is_published_wrong_is_no_key(
    idp: Provider,
    caplog: pytest.LogCaptureFixture,
    described: dict[str, object],
    keys: list[dict[str, object]] | None,
    reason: str,
) -> None:
    idp.described, idp.keys = described, idp.keys if keys is None else keys
    async with tokens(idp) as checked:
        with pytest.raises(NotReady):
            await checked.caller(bearer(idp.token(RSA, "rsa")))
    assert reason in caplog.text


@pytest.mark.parametrize("issuer", ["http://login.example.com", "login.example.com", "ftp://x", "https://", "http://["])
def test_an_issuer_that_anybody_could_speak_for_is_refused(issuer: str) -> None:
    with pytest.raises(StartupError, match=r"RAG_OIDC_ISSUER: .* is no https:// address"):
        OidcProvider.open(issuer)


async def test_an_address_where_nobody_listens_is_an_outage() -> None:
    source = OidcProvider.open(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OSError, match="gave no answer"):
        await source.key_set()
    await source.aclose()


def trusting(idp: Provider) -> Settings:
    told = {"auth": "oidc", "oidc_issuer": idp.issuer, "oidc_audience": AUDIENCE}
    return Settings(qdrant_url="http://unused", metrics_port=0, **told)


async def test_a_service_that_trusts_a_provider_answers_its_tokens_and_no_api_key(idp: Provider) -> None:
    async with calling(trusting(idp)) as http:

        async def status(credential: str) -> int:
            headers = {"authorization": f"Bearer {credential}"}
            return (await http.post("/search", json={"query": "x"}, headers=headers)).status_code

        assert [await status(idp.token(RSA, "rsa")), await status("k" * 43)] == [200, 401]
        assert (await http.get("/readyz")).status_code == 200


async def test_a_service_starts_without_its_provider_and_says_when_to_come_again(idp: Provider) -> None:
    idp.status = 503
    async with calling(trusting(idp)) as http:
        headers = {"authorization": f"Bearer {idp.token(RSA, 'rsa')}"}
        response = await http.post("/search", json={"query": "x"}, headers=headers)
    assert (response.status_code, response.headers["retry-after"]) == (503, "10")
