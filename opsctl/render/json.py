"""The sheet's document as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsctl.sheet import Sheet


def render(sheet: Sheet) -> str:
    """Money is a string of 6 decimals in it; what is doubtful stands in it, in a list of its own or as notes."""
    document = sheet.document if "warnings" in sheet.document else {**sheet.document, "notes": list(sheet.notes)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
