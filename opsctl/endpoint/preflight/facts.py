"""What a preflight looks at. A fact that could not be asked for is the error that says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.cost.catalog import Price
    from opsctl.endpoint.model_card import ModelCard
    from opsctl.errors import OpsctlError


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials they are."""

    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many instances of a type the account may run endpoints on, in one region."""

    code: str
    value: float


@dataclass(frozen=True, slots=True)
class Running:
    """Instances of the type that run now: all of the account's, and this endpoint's."""

    all: int
    own: int


@dataclass(frozen=True, slots=True)
class Role:
    """The execution role.

    Attributes:
        trusts_sagemaker: whether SageMaker may assume it.
        passable: whether the caller may pass it to SageMaker; None where IAM would not simulate that.
    """

    trusts_sagemaker: bool
    passable: bool | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks look at.

    Attributes:
        quota: None where the region has no such instance type.
        key: the key's state in KMS; None where the stack has no key of its own.
        price: None where the catalog has none.
    """

    caller: Caller | OpsctlError
    quota: Quota | OpsctlError | None
    running: Running | OpsctlError
    role: Role | OpsctlError
    bucket: bool | OpsctlError
    key: str | OpsctlError | None
    card: ModelCard | OpsctlError
    price: Price | None
