"""The Elligator2 map onto Curve25519, hardened for integers that are not constant-time.

Source: draft-irtf-cfrg-cpace-21, section "CPace on single-coordinate Ladders",
and RFC 9380, section 6.7.1. Both give the same u-coordinate.
"""

from __future__ import annotations

from collections.abc import Callable

P = 2**255 - 19
A = 486662
"""Curve25519 is v^2 = u^3 + A u^2 + u over the integers modulo P."""

_LOW_255_BITS = 2**255 - 1
_INVERT = P - 2
_LEGENDRE = (P - 1) // 2


def map_to_curve(r: bytes, random_bytes: Callable[[int], bytes]) -> bytes:
    """Maps a field element to the u-coordinate of a point on Curve25519.

    Nothing branches on `r` or indexes by it, and both modular powers work on
    values that a fresh random factor makes independent of it, because Python's
    integer arithmetic takes a time that depends on its operands.

    r: 32 bytes, little-endian; the top bit is ignored and the rest reduced
    modulo P, as decodeUCoordinate of RFC 7748 does.
    random_bytes: the source of the blinding factors; they do not change the result.
    Returns the u-coordinate, 32 bytes, little-endian, below P.
    """
    assert len(r) == 32, "a field element has 32 bytes"
    element = (int.from_bytes(r, "little") & _LOW_255_BITS) % P
    # 1 + 2 r^2 is never 0: -1/2 is not a square modulo P.
    first = -A * _blinded_inverse(1 + 2 * element * element, random_bytes) % P
    second = (-A - first) % P
    curve_value = first * (first * first + A * first + 1) % P
    not_square = _blinded_not_square(curve_value, random_bytes)
    # Factors of equal size, which are 1 and 0 modulo P, choose without a branch.
    u = (first * (P + 1 - not_square) + second * (P + not_square)) % P
    return u.to_bytes(32, "little")


def _blinded_inverse(value: int, random_bytes: Callable[[int], bytes]) -> int:
    """1/value modulo P. The power sees value times a random factor."""
    factor = _random_factor(random_bytes)
    return factor * pow(value * factor % P, _INVERT, P) % P


def _blinded_not_square(value: int, random_bytes: Callable[[int], bytes]) -> int:
    """1 where value is not a square modulo P, else 0; value is not 0.

    The power sees value times a random square and, at random, times 2, which
    is not a square: so neither its operand nor its outcome tells anything.
    """
    flip = random_bytes(1)[0] & 1
    factor = _random_factor(random_bytes)
    symbol = pow(value * (factor * factor % P) * (1 + flip) % P, _LEGENDRE, P)
    # The symbol is 1 (odd) for a square and P - 1 (even) for a non-square.
    return 1 - (symbol & 1) ^ flip


def _random_factor(random_bytes: Callable[[int], bytes]) -> int:
    """A random element of 1..P-1; the bias of one reduction is below 2^-249."""
    return 1 + int.from_bytes(random_bytes(32), "little") % (P - 1)
