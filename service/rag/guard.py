"""What leaves: the model's text piece by piece, without foreign links, echoed fences, or the prompt.

A piece may end in the middle of an address, so text is held back until what it could still become is decided. That is
at the next white space, or at the next character that is in no address, as in scripts that write no spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.rag import links

if TYPE_CHECKING:
    from service.ports import Hit

FENCE = re.compile(r"</?source\b[^>\n]*>?", re.IGNORECASE)

# After a colon or an opening bracket, white space may go on into an address.
_LAST_SPACE = re.compile(r""".*(?:^|[^\s:("'=<])\s+""", re.DOTALL)
_NO_ADDRESS_YET = re.compile(r"[^\s:/\\&.@<]*[^\x00-\x7f]")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")


class Guard:
    """Of one answer.

    Attributes:
        leaked: the prompt's mark was in the text, so the model was reciting its prompt; nothing more leaves.
        links_removed: a link to something else than a source was in it.
    """

    def __init__(self, sources: Sequence[Hit], mark: str) -> None:
        self._allowed = frozenset(hit.url for hit in sources if hit.url)
        self._mark = mark.casefold()
        self._held = ""
        self.leaked = False
        self.links_removed = False

    def pass_on(self, piece: str) -> str:
        """Add a piece; what may leave now."""
        self._held += piece
        decided = _decided(self._held)
        ready, self._held = self._held[:decided], self._held[decided:]
        return self._clean(ready)

    def rest(self) -> str:
        """What was held back, at the end."""
        ready, self._held = self._held, ""
        return self._clean(ready)

    def _clean(self, text: str) -> str:
        if self.leaked or not text:
            return ""
        unfenced = FENCE.sub("", text) if "<" in text else text
        if self._mark in unfenced.casefold():
            self.leaked = True
            return ""
        clean = links.only_to(self._allowed, unfenced)
        self.links_removed = self.links_removed or clean != unfenced
        return clean


def _decided(text: str) -> int:
    """Length of the head that no later piece can make part of an address or a fence."""
    # Once a fence is taken out, what stands before it goes on behind it: the white space in it ends no word.
    unbroken = FENCE.sub(lambda fence: "<" * len(fence[0]), text) if "<" in text else text
    space = _LAST_SPACE.match(unbroken)
    end = space.end() if space else 0
    if written := _NO_ADDRESS_YET.match(unbroken, end):
        # An invisible character may be inside of an address.
        end = end if _INVISIBLE.search(written[0]) else written.end()
    return end
