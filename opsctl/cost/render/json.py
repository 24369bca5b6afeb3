"""The sheet's document as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.cost.sheet import Sheet


def render(sheet: Sheet) -> str:
    """Money is a string of 6 decimals in it."""
    return json.dumps(sheet.document, indent=2, ensure_ascii=False) + "\n"
