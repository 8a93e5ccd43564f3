"""Low-pass filters for changing the sample rate: a sinc under a Kaiser window.

J. O. Smith, "Digital Audio Resampling" (bandlimited interpolation); the window is
J. F. Kaiser's, "Nonrecursive digital filter design using the I0-sinh window function",
1974.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def fractional_taps(taps: int, phases: int, cutoff: float, beta: float) -> list[list[float]]:
    """Filters that read a signal between two of its samples.

    taps: even number of weights in each; phases: steps between two samples; cutoff:
    where the pass band ends, as a share of half the sample rate (0 < cutoff <= 1); beta:
    the window's shape, more for purer tones and a wider edge (Kaiser: 6.5 is about 70 dB
    of stop band, 8 about 85).
    Returns phases + 1 rows, row p for the place p / phases of the way from the sample at
    taps // 2 - 1 to the next, the last row being the first moved by one; the weights of
    a row add up to 1.
    """
    half = taps // 2
    one_side = [_weight(i / phases, half, cutoff, beta) for i in range(half * phases + 1)]
    rows = []
    for phase in range(phases + 1):
        row = [one_side[abs((k - half + 1) * phases - phase)] for k in range(taps)]
        total = math.fsum(row)
        rows.append([weight / total for weight in row])
    return rows


def quantised(row: Sequence[float], bits: int) -> list[int]:
    """`row` times 2^bits in integers that add up to exactly 2^bits.

    A sum that is exact lets silence and any constant pass unchanged; the largest weight
    takes the remainder.
    """
    scale = 1 << bits
    taps = [round(weight * scale) for weight in row]
    taps[taps.index(max(taps))] += scale - sum(taps)
    return taps


def _weight(distance: float, half: int, cutoff: float, beta: float) -> float:
    """Sinc times window, `distance` samples from the middle (0..half)."""
    x = math.pi * distance * cutoff
    sinc = math.sin(x) / x if x else 1.0
    edge = max(0.0, 1.0 - (distance / half) ** 2)
    return sinc * _bessel_i0(beta * math.sqrt(edge))


def _bessel_i0(x: float) -> float:
    """The modified Bessel function of order zero, by its power series."""
    total = term = 1.0
    n = 0
    while term > total * 1e-12:
        n += 1
        term *= (x / (2 * n)) ** 2
        total += term
    return total
