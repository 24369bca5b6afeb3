"""What a stack's preflight looks at. A fact that could not be asked for is the error that says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from opsctl.credentials.vendors import Kept
    from opsctl.endpoint.preflight.facts import Caller, Quota, Running
    from opsctl.errors import OpsctlError
    from opsctl.preflight.needs import Need


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a quota there is, and how much of it others have.

    Attributes:
        limit: None where the account has no such quota.
        others: taken by what isn't this stack's; None where nobody says.
    """

    limit: float | None
    others: float | None


@dataclass(frozen=True, slots=True)
class Name:
    """A public name: whether its zone is there, and how far its certificate is (None: there is none yet)."""

    zone: bool
    certificate: str | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """USD a month by the cost report; `incomplete` says what has no price."""

    monthly_usd: Decimal
    budget_usd: Decimal
    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointRoom:
    """Instances for endpoints of the stack's type: allowed (None: the region has no such type), and running."""

    quota: Quota | OpsctlError | None
    running: Running | OpsctlError


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks look at.

    Attributes:
        pulumi: version of the CLI.
        account: that the deployed stack is in; None before its first `up`.
        shares: by the name of the need.
        architectures: of the image; None where the config names none, empty where the registry hasn't got it.
        secrets: None before the stack has a place for them.
        endpoint: state of the model endpoint; "" where there is none, None where the stack needs none.
        room: for the endpoint's instances; None where the stack needs none.
        violations: of the policy pack.
    """

    pulumi: tuple[int, ...] | OpsctlError
    caller: Caller | OpsctlError
    account: str | None
    needs: tuple[Need, ...]
    shares: Mapping[str, Share | OpsctlError]
    architectures: tuple[str, ...] | OpsctlError | None
    secrets: tuple[Kept, ...] | OpsctlError | None
    name: Name | OpsctlError | None
    endpoint: str | OpsctlError | None
    room: EndpointRoom | None
    estimate: Estimate | OpsctlError
    violations: tuple[str, ...]
