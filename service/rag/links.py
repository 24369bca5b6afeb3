"""Links in an answer: only to its sources, and as the sources give them.

A poisoned document makes a model write a link whose address carries what the reader asked, or an image that a chat
page fetches by itself. So every address is compared with the sources' own; a part that is equal is not enough.
"""

from __future__ import annotations

import html
import re
from collections.abc import Set as AbstractSet

REMOVED = "[link removed]"

_END = r"""[^\s<>"'`)\]}|]"""  # what an address is made of, generously
# metadata:x holds no data:x; a letter of another script ends no scheme, and what stands before it may have left already
_BEGIN = r"(?<![0-9A-Za-z_+.-])"
_ADDRESS = re.compile(
    rf"""
      [a-z][a-z0-9+.-]*:[/\\]{{2}}{_END}+                                # any scheme with a host
    | {_BEGIN}(?:https?|ftp|wss?):(?:\s*[/\\]+)?{_END}+                  # browsers forgive slashes that lack
    | {_BEGIN}(?:javascript|vbscript|mailto|blob):{_END}+
    | {_BEGIN}(?:data:[\w.+-]*[/;,]|file:[/\\]|(?:tel|sms):\+?\d){_END}*
    | (?<=[("'=<])\s*[/\\]{{2}}{_END}+                                   # the page's scheme, as a link's target
    | (?<![0-9A-Za-z_.@-])www\.{_END}+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_GOES_ON = re.compile(rf"[.,;:!?*_]*(?![.,;:!?*_]){_END}")
_INVISIBLE = dict.fromkeys([*range(0x20), 0x7F, 0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF])


def only_to(allowed: AbstractSet[str], text: str) -> str:
    """`text` with every address that is not one of `allowed` replaced.

    An address that is written in HTML's character references, or with characters that nobody sees, is one as well.
    """
    if not _may_hold_an_address(text):
        return text

    def address(found: re.Match[str]) -> str:
        return found[0] if _is_one_of(allowed, text, found.start()) else REMOVED

    def word(run: re.Match[str]) -> str:
        plain = html.unescape(run[0]).translate(_INVISIBLE)
        return run[0] if plain == run[0] or not _ADDRESS.search(plain) else REMOVED

    return re.sub(r"\S+", word, _ADDRESS.sub(address, text))


def _is_one_of(allowed: AbstractSet[str], text: str, start: int) -> bool:
    """Whether the address at `start` is an allowed one and does not go on behind it."""
    return any(text.startswith(known, start) and not _GOES_ON.match(text, start + len(known)) for known in allowed)


def _may_hold_an_address(text: str) -> bool:
    return ":" in text or "//" in text or "\\" in text or "&" in text or "www." in text.lower()
