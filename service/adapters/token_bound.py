"""An upper bound of a text's tokens for models whose tokenizer can't be had without a network."""

from __future__ import annotations

import re

LETTERS_PER_TOKEN = 2.5  # English prose has above 4, code and names near 3
_LETTERS = re.compile(r"[A-Za-z]+")
_OTHER = re.compile(r"[^A-Za-z\s]")
_GAPS = re.compile(r"\s{2,}|\n")


def upper_bound(text: str) -> int:
    """Tokens that a byte-pair tokenizer of 49 thousand entries or more needs at most for `text`.

    One per started LETTERS_PER_TOKEN letters of a word, one per other ASCII character, two per other character, one
    per run of white space that is more than a space. Held against a real tokenizer on prose, code and other scripts.
    """
    words = sum(int(-(-len(word) // LETTERS_PER_TOKEN)) for word in _LETTERS.findall(text))
    others = sum(1 if character.isascii() else 2 for character in _OTHER.findall(text))
    return words + others + len(_GAPS.findall(text))
