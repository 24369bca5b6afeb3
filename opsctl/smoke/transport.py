"""Transport: who the service proves to be, for how long yet, and that nobody is served in the clear."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from opsctl.errors import CheckFailed
from opsctl.smoke.check import Check, Evidence, NotApplicable
from opsctl.smoke.client import is_loopback, trusted

if TYPE_CHECKING:
    from opsctl.smoke.check import Asking

LEAST_DAYS = 21  # ACM renews 60 days before the end: what is closer was not renewed
HTTPS, HTTP = 443, 80
OBSOLETE = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)


@dataclass(frozen=True, slots=True)
class Address:
    """Where TLS is spoken."""

    host: str
    port: int


def tls_address(url: str) -> Address:
    """Host and port of an https address.

    Raises:
        NotApplicable: it is plain HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme != "https":
        where = "loopback" if is_loopback(url) else "access.insecureHttp"
        raise NotApplicable(f"plain HTTP ({where})")
    return Address(parts.hostname or "", parts.port or HTTPS)


async def certificate(asking: Asking) -> Evidence:
    """Hold that the chain is trusted, the name is the service's, and the end is not near."""
    at = tls_address(asking.service.url)
    try:
        spoken = await _handshake(at, trusted(), asking.limit_s)
    except ssl.SSLCertVerificationError as exc:
        raise CheckFailed(
            f"the certificate of {at.host} is not trusted: {exc.verify_message}",
            next_step="check domain.name, and that the certificate is issued (`opsctl preflight`)",
        ) from exc
    except (OSError, TimeoutError) as exc:
        raise CheckFailed(
            f"no TLS with {at.host}:{at.port}: {exc or type(exc).__name__}", next_step="check the listener"
        ) from exc
    days = (spoken.ends - datetime.now(UTC)).days
    if days < LEAST_DAYS:
        raise CheckFailed(
            f"the certificate of {at.host} ends in {days} days",
            next_step="see why it isn't renewed: its validation record must stay in the zone",
        )
    return Evidence(f"{spoken.version}, trusted, {days} days left", {"version": spoken.version, "daysLeft": days})


async def versions(asking: Asking) -> Evidence:
    """Hold that TLS 1.0 and 1.1 are refused."""
    at = tls_address(asking.service.url)
    for version in OBSOLETE:
        try:
            spoken = await _handshake(at, _only(version), asking.limit_s)
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError: it is refused, in whichever way
            continue
        raise CheckFailed(
            f"{at.host} speaks {spoken.version}", next_step="the listener's policy must start with TLS 1.2"
        )
    return Evidence("TLS 1.0 and 1.1 are refused")


async def plain_http(asking: Asking) -> Evidence:
    """Hold that plain HTTP is shut, or says nothing but where HTTPS is."""
    at = tls_address(asking.service.url)
    if at.port != HTTPS:
        raise NotApplicable(f"the address names port {at.port}")
    return await nothing_in_the_clear(f"http://{at.host}:{HTTP}", asking.limit_s)


async def nothing_in_the_clear(plain: str, limit_s: float) -> Evidence:
    """Ask `plain`, an http address, for /livez."""
    try:
        async with httpx.AsyncClient(trust_env=not is_loopback(plain), timeout=limit_s) as http:
            reply = await http.get(f"{plain}/livez")
    except httpx.TransportError:
        return Evidence("plain HTTP is shut")
    there = reply.headers.get("location", "")
    if not reply.is_redirect or urlsplit(there).scheme != "https":
        raise CheckFailed(
            f"{plain} answers {reply.status_code} in the clear", next_step="redirect port 80 to HTTPS, or shut it"
        )
    return Evidence(f"{reply.status_code} to HTTPS", {"status": reply.status_code})


@dataclass(frozen=True, slots=True)
class _Spoken:
    version: str
    ends: datetime


async def _handshake(at: Address, context: ssl.SSLContext, limit_s: float) -> _Spoken:
    async with asyncio.timeout(limit_s):
        _, writer = await asyncio.open_connection(at.host, at.port, ssl=context, server_hostname=at.host)
    try:
        spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        ends = (spoken.getpeercert() or {}).get("notAfter")
        seconds = ssl.cert_time_to_seconds(str(ends)) if ends else 0.0
        return _Spoken(spoken.version() or "", datetime.fromtimestamp(seconds, UTC))
    finally:
        writer.close()


def _only(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks one obsolete version and believes anybody: the question is only what is spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # else OpenSSL itself would refuse, and the check could not fail
    with warnings.catch_warnings(
        action="ignore", category=DeprecationWarning
    ):  # that nobody should speak it is the point
        context.minimum_version, context.maximum_version = version, version
    return context


TRANSPORT = (
    Check("tls certificate", certificate, limit_s=10),
    Check("tls versions", versions, limit_s=10, needs="tls certificate"),
    Check("plain http", plain_http, limit_s=10),
)
