"""Vendors' secrets: `secrets` in the stack config, encrypted; the next `up` puts them where the service reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.config.stack import Secrets
from opsctl.credentials import callers
from opsctl.errors import NotUsable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from infra.config import StackConfig
    from opsctl.credentials.config_file import ConfigFile
    from opsctl.stack import Delivery

NAMES = {str(info.alias or name): name for name, info in Secrets.model_fields.items()}
MOST_BYTES = 64 * 1024  # Secrets Manager's


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret of the stack.

    Attributes:
        given: whether the stack config has a value; None for what the stack generates itself.
        arn: where it is kept; None before the `up` that makes its place.
        changed: when its value was last written; None where there is none.
    """

    name: str
    given: bool | None
    arn: str | None
    changed: dt.datetime | None


def listed(cfg: StackConfig, delivery: Delivery | None, changed: Callable[[str], dt.datetime | None]) -> list[Kept]:
    """Every secret that the config has or the stack keeps; values are neither read nor shown."""
    arns = (delivery.secrets if delivery else None) or {}
    given = {name for name, field in NAMES.items() if getattr(cfg.secrets, field) is not None}
    names = sorted(given | set(arns))
    return [
        Kept(
            name,
            name in given if name in NAMES else None,
            arns.get(name),
            changed(arns[name]) if name in arns else None,
        )
        for name in names
    ]


def set_value(file: ConfigFile, name: str, value: str) -> None:
    """Write a vendor's secret into the stack config, encrypted.

    Raises:
        NotUsable: no such secret, or no value.
    """
    if name not in NAMES:
        raise NotUsable(
            f"'{name}' is no secret that a stack is given", next_step=f"they are {', '.join(sorted(NAMES))}"
        )
    text = value.strip()
    if not text or len(text.encode()) > MOST_BYTES:
        what = "empty" if not text else f"over {MOST_BYTES} bytes long"
        raise NotUsable(f"the value of {name} is {what}", next_step="give it on stdin, or type it when asked")
    file.set_secret(f"secrets.{name}", text)


def rotate(file: ConfigFile, name: str) -> int:
    """Ask for another value of a secret that the stack generates: a caller's key.

    Raises:
        NotUsable: a vendor's, which only the vendor can make; or one that is generated once, with its store.
    """
    if name in NAMES:
        raise NotUsable(
            f"only the vendor can make another {name}", next_step=f"get one there, then `opsctl secrets set {name}`"
        )
    head, _, caller = name.partition("-")
    if head != "apiKey" or not caller:
        raise NotUsable(f"{name} is made once, together with what it opens", next_step="see docs/operations.md, Keys")
    return callers.rotate(file, caller)
