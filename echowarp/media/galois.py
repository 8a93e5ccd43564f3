"""Arithmetic on byte strings over GF(256), without a loop for each byte.

A byte is a polynomial over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d). A byte
string times a constant is one `bytes.translate`, the sum of two is the XOR of two
big integers. Little-endian integers, so that strings of unequal length are aligned
at their first byte and the shorter one counts as padded with zeros.

Source: tables of powers as in Plank, "A Tutorial on Reed-Solomon Coding for
Fault-Tolerance in RAID-like Systems" (1997).
"""

from __future__ import annotations

from collections.abc import Iterable

FIELD_SIZE = 256
POLYNOMIAL = 0x11D


def _powers_of_two() -> list[int]:
    powers = [1]
    while len(powers) < FIELD_SIZE - 1:
        doubled = powers[-1] << 1
        powers.append(doubled ^ POLYNOMIAL if doubled >= FIELD_SIZE else doubled)
    return powers


_EXP = _powers_of_two()
_LOG = {value: power for power, value in enumerate(_EXP)}
_ORDER = FIELD_SIZE - 1


def _times(factor: int) -> bytes:
    if factor == 0:
        return bytes(FIELD_SIZE)
    log = _LOG[factor]
    return bytes([0, *(_EXP[(log + _LOG[value]) % _ORDER] for value in range(1, FIELD_SIZE))])


TIMES = tuple(_times(factor) for factor in range(FIELD_SIZE))
"""`data.translate(TIMES[c])` is `data` times c; `TIMES[a][b]` the product of two bytes."""

INVERSE = bytes([0, *(_EXP[-_LOG[value] % _ORDER] for value in range(1, FIELD_SIZE))])
"""`INVERSE[c]` times c is 1, for c in 1..255; zero has none, and its place holds 0."""


def weighted_sum(terms: Iterable[tuple[int, bytes]]) -> int:
    """The sum of factor times data, as a little-endian integer.

    terms: (factor 0..255, data of any length) pairs.
    """
    total = 0
    for factor, data in terms:
        total ^= int.from_bytes(data.translate(TIMES[factor]), "little")
    return total


def add_scaled(data: bytes, factor: int, other: bytes) -> bytes:
    """`data` plus factor (0..255) times `other`, as long as the longer of the two."""
    total = int.from_bytes(data, "little") ^ weighted_sum([(factor, other)])
    return total.to_bytes(max(len(data), len(other)), "little")
