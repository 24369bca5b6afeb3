"""An upper bound of a text's tokens for models whose tokenizer can't be had without a network."""

from __future__ import annotations

import re

LETTERS_PER_TOKEN = 2.0  # English prose has above 4, Finnish or Polish in ASCII above 2
LETTERS_PER_TOKEN_IN_NAMES = 1.0  # capitals inside a word, no vowel, or very long: identifiers, acronyms, keys
LONGEST_PLAIN_WORD = 16
_VOWEL = re.compile(r"[aeiouyAEIOUY]")
_LETTERS = re.compile(r"[A-Za-z]+")
_OTHER = re.compile(r"[^A-Za-z\s]")
_GAPS = re.compile(r"[^\S ]| {2,}| (?![A-Za-z])")


def upper_bound(text: str) -> int:
    """Tokens that a byte-pair tokenizer of 49 thousand entries or more needs at most for `text`.

    One per started LETTERS_PER_TOKEN letters of a word, one per byte of any other character (a byte-level tokenizer
    never needs more), one per white space that is more than the space before a word. Held against a real tokenizer on
    prose, code, names, numbers, markup and other scripts: never below its count.
    """
    words = sum(_word(word) for word in _LETTERS.findall(text))
    others = sum(len(character.encode(errors="replace")) for character in _OTHER.findall(text))
    return words + others + len(_GAPS.findall(text))


def _word(word: str) -> int:
    plain = len(word) <= LONGEST_PLAIN_WORD and (word[1:].islower() or len(word) == 1) and _VOWEL.search(word)
    return int(-(-len(word) // (LETTERS_PER_TOKEN if plain else LETTERS_PER_TOKEN_IN_NAMES)))
