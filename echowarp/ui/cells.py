"""How wide text is on a terminal.

Source: Unicode Standard Annex 11, East Asian Width; marks take no place of their own.
"""

from __future__ import annotations

import unicodedata

_NO_PLACE = ("Mn", "Me", "Cf")
_WIDE = ("W", "F")


def cells(text: str) -> int:
    """The columns that a text takes."""
    return len(text) if text.isascii() else sum(map(_of, text))


def cut(text: str, columns: int) -> str:
    """As much of the beginning of a text as fits."""
    if text.isascii():
        return text[:columns]
    taken = 0
    for at, character in enumerate(text):
        taken += _of(character)
        if taken > columns:
            return text[:at]
    return text


def fill(text: str, columns: int) -> str:
    """A text cut or filled with blanks to exactly so many columns."""
    text = cut(text, columns)
    return text + " " * (columns - cells(text))


def _of(character: str) -> int:
    if unicodedata.category(character) in _NO_PLACE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
