"""Mends device names whose bytes were read in the wrong charset.

PortAudio hands out bytes, in UTF-8 or in the system's old charset, and PyAudio decodes
them with a guess: the name may come as text, as wrong text ("Ð\\x9cÐ¸Ðº"), or as bytes.
"""

from __future__ import annotations

import contextlib
import locale
import unicodedata

_WESTERN = ("latin-1", "cp1252")
"""What undecided bytes are commonly shown as."""


def repair_name(name: str | bytes, charset: str | None) -> str:
    """The readable form of a device's name; never raises.

    charset: the charset that names are repaired from, None for the locale's. A name
    that is good already is returned as it is, but for control characters, which go.
    """
    charset = charset or locale.getpreferredencoding(False)
    text = _decode(name, charset) if isinstance(name, bytes) else _mend(name, charset)
    return _printable(text)


def _decode(raw: bytes, charset: str) -> str:
    # Text in another charset is almost never valid UTF-8, so that is asked first.
    for candidate in ("utf-8", charset):
        with contextlib.suppress(ValueError, LookupError):
            return raw.decode(candidate)
    return raw.decode("latin-1")


def _mend(text: str, charset: str) -> str:
    if text.isascii():
        return text
    # First bytes of UTF-8 that were read as something else, then bytes of `charset`.
    steps = [(wrong, "utf-8") for wrong in (charset, *_WESTERN)]
    steps += [(wrong, charset) for wrong in _WESTERN]
    for wrong, right in steps:
        with contextlib.suppress(ValueError, LookupError):
            mended = text.encode(wrong).decode(right)
            if mended != text and _is_plausible(mended):
                return mended
    return text


def _is_plausible(text: str) -> bool:
    """Printable, and no word mixes Latin with other letters ("Hцhe" was "Höhe")."""
    return text.isprintable() and all(len(_scripts(word)) < 2 for word in text.split())


def _scripts(word: str) -> set[str]:
    letters = [letter for letter in word if letter.isalpha()]
    return {
        "LATIN" if unicodedata.name(letter, "?").startswith("LATIN") else "other"
        for letter in letters
    }


def _printable(text: str) -> str:
    spaced = "".join(" " if letter in "\t\r\n" else letter for letter in text)
    return "".join(letter for letter in spaced if letter.isprintable()).strip()
