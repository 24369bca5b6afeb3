"""What is wrong in a file, in one line: each mistake with its place, the first ones where there are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

SHOWN = 4


def reasons(exc: ValidationError) -> str:
    """Values are left out: a file of the engine's holds secrets."""
    found = [
        f"{'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in exc.errors(include_input=False)
    ]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join([*found[:SHOWN], *more])
