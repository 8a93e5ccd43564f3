"""One parser for each kind of value, for argv, config files and prompts alike.

A parser takes the text as the user gave it and returns the value. Whatever it
refuses is a ValueError whose text completes "udp_port: ...": it names the value,
what is wrong with it, and what would be right.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from reprlib import repr as short_repr
from typing import Generic, TypeAlias, TypeVar

from echowarp.config.settings import LATENCIES

Value: TypeAlias = bool | int | float | str
Parser: TypeAlias = Callable[[str], Value]
_Number = TypeVar("_Number", int, float)

MAX_SECONDS = 1e9
MAX_LATENCY_MS = 2000
MIN_TONE_HZ, MAX_TONE_HZ = 20, 20_000
CACHE_PREFIX = "cache:"
"""Before the id of a file in the cache, where a source is named."""
_HOST = re.compile(r"\[[^\[\]]+\]|[^\[\]]+")
"""An IPv6 address may stand in brackets."""


def truth(text: str) -> bool:
    """`True` or `False`, in any case."""
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise ValueError(f"{short_repr(text)} is neither True nor False")
    return values[text.lower()]


@dataclass(frozen=True, slots=True)
class Range(Generic[_Number]):
    """A parser of numbers of one type, from `low` to `high` inclusive (None: no end)."""

    of: Callable[[str], _Number]
    low: float
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.low:g} or more" if self.high is None else f"{self.low:g}..{self.high:.12g}"

    def __call__(self, text: str) -> _Number:
        """The number in `text`. Raises ValueError."""
        number = _number(text, self.of)
        if number is None or number < self.low or (self.high is not None and number > self.high):
            whole = "whole " if self.of is int else ""
            raise ValueError(f"{short_repr(text)} is not a {whole}number, {self}")
        return number


def seconds(text: str) -> float:
    """A length of time in seconds: more than 0, at most MAX_SECONDS."""
    number = _number(text, float)
    if number is None or not 0 < number <= MAX_SECONDS:
        raise ValueError(
            f"{short_repr(text)} is not a number of seconds, more than 0, "
            f"at most {MAX_SECONDS:.12g}"
        )
    return number


def secret(text: str) -> str:
    """A password, taken as it is: what makes a good one is decided where it is used."""
    return text


def name(text: str) -> str:
    """Part of a device's name: anything but nothing."""
    if not text.strip():
        raise ValueError("it is empty: give part of a name")
    return text


def nickname(text: str) -> str:
    """The name of a person or of a room; what may be one is said where it is used."""
    if not text.strip():
        raise ValueError("it is empty: give a name")
    return text


def host(text: str) -> str:
    """A host name, an IPv4 or an IPv6 address, without a port."""
    if not text:
        raise ValueError("it is empty: give a host name or an address")
    if not text.isprintable() or " " in text:
        raise ValueError(f"{short_repr(text)} is neither a host name nor an address")
    if "]:" in text or text.count(":") == 1:
        raise ValueError(f"{short_repr(text)} has a port in it: give that as udp_port")
    if not _HOST.fullmatch(text):
        raise ValueError(f"{short_repr(text)} is neither a host name nor an address")
    return text


def path(text: str) -> str:
    """The name of a file."""
    if not text:
        raise ValueError("it is empty: give the name of a file")
    if any(character < " " for character in text):
        raise ValueError(
            f"{short_repr(text)} has a control character in it (in quotes, write \\\\ for \\)"
        )
    return text


def wav(text: str) -> str:
    """The path of a WAV file: its end, in any case, tells it from other words."""
    if not text.lower().endswith(".wav"):
        raise ValueError(f"{short_repr(text)} is not a path that ends in .wav")
    return path(text)


def charset(text: str) -> str:
    """The name of a character set that Python knows."""
    try:
        codecs.lookup(text)
        with contextlib.suppress(UnicodeError):
            b" ".decode(text)  # refuses the codecs that are not of text, such as base64
    except (LookupError, ValueError):
        raise ValueError(
            f"{short_repr(text)} is not a known charset: give one such as utf-8 or cp1251"
        ) from None
    return text


def latency(text: str) -> str:
    """`low`, `auto`, `robust`, or milliseconds 0..2000."""
    if text.lower() in LATENCIES:
        return text.lower()
    number = _number(text, float)
    if number is None or not 0 <= number <= MAX_LATENCY_MS:
        raise ValueError(
            f"{short_repr(text)} is not low, auto, robust, nor milliseconds 0..{MAX_LATENCY_MS}"
        )
    return text


def source(text: str) -> str:
    """`device`, `tone`, `tone:HZ`, `cache:ID`, `none`, `-`, or the path of a .wav file."""
    word, colon, hertz = text.lower().partition(":")
    if word == "cache" and colon:
        if not hertz:
            raise ValueError(f"{short_repr(text)} names no file: it is cache:ID")
        return CACHE_PREFIX + text[len(CACHE_PREFIX) :]
    if word == "tone" and colon:
        number = _number(hertz, float)
        if number is None or not MIN_TONE_HZ <= number <= MAX_TONE_HZ:
            raise ValueError(f"{short_repr(text)} is not tone:{MIN_TONE_HZ}..{MAX_TONE_HZ}")
        return text.lower()
    return _word_or_wav(text, ("device", "tone", "tone:HZ", "cache:ID", "none", "-"))


def sink(text: str) -> str:
    """`device`, `null`, `-`, or the path of a .wav file."""
    return _word_or_wav(text, ("device", "null", "-"))


def _word_or_wav(text: str, words: tuple[str, ...]) -> str:
    if text.lower() in words:
        return text.lower()
    try:
        return wav(text)
    except ValueError as error:
        raise ValueError(f"{error}, nor one of {', '.join(words)}") from None


def _number(text: str, of: Callable[[str], _Number]) -> _Number | None:
    """The finite number in `text`, or None where there is none.

    Python reads as numbers some texts that people do not: `1_0`, ` 5`, `٥`.
    """
    if not text.isascii() or "_" in text or text != text.strip():
        return None
    try:
        number = of(text)
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):
        return None
