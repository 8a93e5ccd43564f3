"""Sine tones, and how pure one is that has been through something."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence


def tone(frames: int, hz: float, rate: int, *, amplitude: float = 0.5, channels: int = 1) -> bytes:
    """`frames` frames of a sine in s16le, rounded; amplitude: share of full scale."""
    w = 2 * math.pi * hz / rate
    samples = [round(amplitude * 32767 * math.sin(w * n)) for n in range(frames)]
    repeated = [sample for sample in samples for _ in range(channels)]
    return struct.pack(f"<{len(repeated)}h", *repeated)


def channel_of(pcm: bytes, channel: int, channels: int) -> list[int]:
    """One channel's samples of interleaved s16le."""
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm)[channel::channels])


def sine_fit(samples: Sequence[int], radians: float, start: float = 0.0) -> tuple[float, float]:
    """Least-squares fit of a sine that advances `radians` from sample to sample.

    Returns the signal-to-noise ratio in dB and the phase in radians, relative to a sine
    whose phase at the first sample is `start`.
    """
    ss = sc = cc = xs = xc = xx = 0.0
    for n, x in enumerate(samples):
        s, c = math.sin(start + radians * n), math.cos(start + radians * n)
        ss += s * s
        sc += s * c
        cc += c * c
        xs += x * s
        xc += x * c
        xx += x * x
    determinant = ss * cc - sc * sc
    a, b = (xs * cc - xc * sc) / determinant, (xc * ss - xs * sc) / determinant
    signal = a * xs + b * xc
    return 10 * math.log10(signal / (xx - signal)), math.atan2(b, a)
