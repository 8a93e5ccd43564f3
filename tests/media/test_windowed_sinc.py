"""The filters' promises that the arithmetic on lanes and the listener rely on."""

from __future__ import annotations

import cmath
import math

import pytest

from echowarp.media.windowed_sinc import fractional_taps, quantised


def test_phase_zero_passes_the_sample_unchanged() -> None:
    first, *_, last = fractional_taps(16, 8, 1.0, 6.5)
    assert quantised(first, 14) == [0] * 7 + [1 << 14] + [0] * 8
    assert quantised(last, 14) == [0] * 8 + [1 << 14] + [0] * 7


def test_phases_mirror_each_other() -> None:
    rows = fractional_taps(16, 32, 0.9, 6.5)
    for row, other in zip(rows, reversed(rows), strict=True):
        assert row == pytest.approx(other[::-1], abs=1e-12)


def test_quantised_weights_add_up_exactly() -> None:
    for row in fractional_taps(16, 256, 1.0, 6.5):
        assert sum(quantised(row, 14)) == 1 << 14


def test_no_filter_doubles_a_sample() -> None:
    """The guard bits of the resampler's lanes hold what any two filters may make."""
    for row in fractional_taps(16, 256, 1.0, 6.5):
        taps = quantised(row, 14)
        assert sum(tap for tap in taps if tap > 0) < 2 << 14
        assert -sum(tap for tap in taps if tap < 0) < 1 << 14


def test_cutoff_divides_what_passes_from_what_does_not() -> None:
    row = fractional_taps(48, 1, 0.5, 6.5)[0]

    def gain(share_of_half_rate: float) -> float:
        w = math.pi * share_of_half_rate
        return abs(sum(tap * cmath.exp(-1j * w * k) for k, tap in enumerate(row)))

    assert gain(0.3) == pytest.approx(1.0, abs=1e-3)
    assert gain(0.5) == pytest.approx(0.5, abs=0.01)
    assert all(gain(share / 100) < 1e-3 for share in range(70, 101))
