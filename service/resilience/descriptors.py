"""Out of file descriptors: a kind of overload that any library may run into, and that few of them translate.

`Admission` takes no more requests than the descriptors carry, but what else the process opens at that moment (who is
refused, a module that loads late, a credentials file) is not counted. Such a request may come again, like any other
that is one too many.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from service.errors import Overloaded
from service.resilience.admission import RETRY_AFTER_S

EXHAUSTED = {errno.EMFILE, errno.ENFILE}  # of the process; of the machine


def foreseen(exc: BaseException) -> Overloaded | None:
    """The overload that `exc` is a sign of, whatever a library made of it; None where it is something else."""
    if not any(isinstance(one, OSError) and one.errno in EXHAUSTED for one in _chain(exc)):
        return None
    return Overloaded("the process has no file descriptor left", retry_after_s=RETRY_AFTER_S)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it, as a traceback would show them."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
