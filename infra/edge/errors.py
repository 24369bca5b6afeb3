"""What can go wrong on an edge host; a branch of the family in `infra.errors`.

InfraError
|- EdgeError            str() is one line: the thing, what is wrong with it, and what to do next
|  |- StartError        a program did not come up; the rest of its log goes to stderr
|  |- UnreachableError  a host can't be reached over SSH; names it and the command to try
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import InfraError

if TYPE_CHECKING:
    from types import ModuleType


class EdgeError(InfraError):
    """An edge resource could not be built, started or stopped."""


class StartError(EdgeError):
    """A supervised program ended, or never answered."""


class UnreachableError(EdgeError):
    """An edge host can't be reached."""


@dataclass(frozen=True)
class _Traceback:
    """Stands where Pulumi's dynamic host has the module `traceback`."""

    module: ModuleType

    def format_exc(self) -> str:
        failure = sys.exception()
        return str(failure) if isinstance(failure, EdgeError) else self.module.format_exc()


def report_in_one_line() -> None:
    """Let Pulumi show an EdgeError as its message.

    `pulumi.dynamic.__main__` answers every exception of a provider with `traceback.format_exc()` and offers no other
    way to fail (pulumi 3.272). Every other exception keeps its traceback; a host that works differently is left alone.
    """
    host = sys.modules["__main__"]
    if getattr(host, "traceback", None) is traceback and hasattr(host, "DynamicResourceProviderServicer"):
        vars(host)["traceback"] = _Traceback(traceback)
