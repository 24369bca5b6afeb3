"""Who may call, with which key, how often, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infra.config.values import Cidr, Count, HttpsUrl, Name, Number, Origin, Section, Usd


class Oidc(Section):
    """Whose bearer tokens are accepted."""

    issuer: HttpsUrl
    audience: str


class ApiKey(Section):
    """A caller's key: the stack generates it, the caller is given it out of its own secret."""

    requests_per_minute: Count | None = None  # absent: access.requestsPerMinute
    usd_per_hour: Usd | None = None  # absent: access.usdPerHour
    revision: Count = 1  # another number makes another key and ends the one before


class Access(Section):
    """Enforced by the service itself in every topology; the network's part comes on top."""

    auth: Literal["api-keys", "oidc", "none"] = "api-keys"
    keys: Mapping[Name, ApiKey] = {}  # auth api-keys; `default` is always among them: infra.config.defaults
    oidc: Oidc | None = None
    requests_per_minute: Count = 60  # per key
    usd_per_hour: Usd | None = None  # per key; absent: no limit
    cors_origins: tuple[Origin, ...] = ()
    waf: bool = True
    waf_requests_per_5_minutes: Annotated[int, Number, Field(ge=100, le=2_000_000_000)] = Field(
        2000, alias="wafRequestsPer5Minutes"
    )  # per client address
    docs: bool = False
    public_ingress: bool = True
    allowed_cidrs: tuple[Cidr, ...] = ()
    insecure_http: bool = False  # development only: no domain, no TLS

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.auth == "oidc" and self.oidc is None:
            raise ValueError("auth is oidc, but access.oidc {issuer, audience} is missing")
        if not self.public_ingress and not self.allowed_cidrs:
            raise ValueError("publicIngress is false, but allowedCidrs is empty: nobody could call")
        if any(cidr.endswith("/0") for cidr in self.allowed_cidrs):
            raise ValueError(
                "allowedCidrs holds a network that is the whole internet; use publicIngress: true for that"
            )
        return self
