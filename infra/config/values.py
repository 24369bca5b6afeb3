"""The vocabulary of the stack config: the frozen base of every section and its checked value types."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A part of the stack config: camelCase keys, snake_case attributes, frozen, unknown keys refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_default=True,
    )


def _text(pattern: str, legal: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"is not {legal}")
        return value

    return AfterValidator(check)


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as exc:
        raise ValueError(f"is not an IPv4 network such as 10.20.0.0/16 ({exc})") from exc


def _private_cidr(value: str) -> str:
    network = ipaddress.IPv4Network(_cidr(value))
    if not network.is_private:
        raise ValueError("is not a private network; use a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if not 16 <= network.prefixlen <= 22:  # noqa: PLR2004 - VPC limit /16; below /22 a zone has too few addresses
        raise ValueError("must be between /16 (the largest VPC) and /22 (the smallest that holds the subnets)")
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is a boolean, not a number")  # noqa: TRY004 - pydantic turns only ValueError into a mistake
    return value


HOST = r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"

Number = BeforeValidator(_whole)
Count = Annotated[int, Number, Field(ge=1)]
Percent = Annotated[int, Number, Field(ge=1, le=100)]
Port = Annotated[int, Number, Field(ge=1024, le=65535)]
Seconds = Annotated[float, Number, Field(gt=0)]
Usd = Annotated[Decimal, Number, Field(gt=0)]
Cidr = Annotated[str, AfterValidator(_cidr)]
PrivateCidr = Annotated[str, AfterValidator(_private_cidr)]
Hostname = Annotated[str, _text(HOST, "a host name such as api.example.com")]
HttpsUrl = Annotated[str, _text(r"https://[^\s/@]+(/\S*)?", "an https:// address without user or password")]
Origin = Annotated[
    str, _text(r"https?://[a-z0-9.-]+(:[0-9]+)?", "an origin such as https://chat.example.com: no path, no `*`")
]
HttpUrl = Annotated[str, _text(r"https?://[^\s/@]+(/\S*)?", "an http(s):// address without user or password")]
NodeType = Annotated[str, _text(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type such as t3.medium")]
MlType = Annotated[str, _text(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9]+", "a SageMaker instance type such as ml.g5.2xlarge")]
CacheType = Annotated[str, _text(r"cache\.[a-z][a-z0-9]*\.[a-z0-9]+", "a cache node type such as cache.t4g.micro")]
TrustedPrincipal = Annotated[
    str,
    _text(r"arn:aws:iam::[0-9]{12}:(root|(role|user)/[\w+=,.@/-]+)", "the ARN of an account's root, a role or a user"),
]
TrustAnchor = Annotated[
    str,
    _text(r"arn:aws:rolesanywhere:[a-z0-9-]+:[0-9]{12}:trust-anchor/[0-9a-f-]{36}", "the ARN of a trust anchor"),
]
SourceProfile = Annotated[str, _text(r"[A-Za-z0-9_.-]{1,64}", "a profile's name, Ec2InstanceMetadata or EcsContainer")]
Name = Annotated[str, _text(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62})", "a name of letters, digits and hyphens, at most 63")]
PrincipalArn = Annotated[
    str,
    _text(
        r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+",
        "an IAM role or user such as arn:aws:iam::111122223333:role/platform",
    ),
]
Collection = Annotated[str, _text(r"[A-Za-z0-9_-]{1,64}", "a collection name of letters, digits, _ and -")]
ImageRef = Annotated[
    str,
    _text(
        r"[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})",
        "an image reference such as <repository>@sha256:<64 hex digits>",
    ),
]


class Bounds(Section):
    """A lower and an upper count, both inclusive."""

    min: Count
    max: Count

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class BoundsFromZero(Section):
    """Like `Bounds`, but the lower one may be 0: sleep when idle."""

    min: Annotated[int, Number, Field(ge=0)] = 1
    max: Count = 2

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self
