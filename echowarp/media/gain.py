"""Gain: a block louder or softer, and the ramp between two gains that does not click."""

from __future__ import annotations

from array import array
from sys import byteorder

from echowarp.media.format import Format
from echowarp.media.lanes import OFFSET, clamp, fill, join, lanes_of, split

MAX_GAIN = 16.0
"""24 dB: more is a mistake in units, not a wish."""

_SOFT_BITS, _LOUD_BITS = 16, 14
"""Fraction bits of a gain up to 1 (a product just fills a lane) and up to 2 (it leaves
room for the guard)."""
_GUARD_BIT = 30


def apply_gain(pcm: bytes, gain: float) -> bytes:
    """The samples of `pcm` (s16le, any channels) times `gain`, rounded and saturated.

    gain: 0.0 to MAX_GAIN, a factor (not dB), taken to 16 bits after the point up to 1,
    14 up to 2, and one bit less for each doubling beyond. At 1.0 the same object comes
    back. A product that lies midway is rounded up. Raises ValueError for any other gain.
    """
    _check(gain)
    if gain == 1.0:
        return pcm
    while gain > 2.0:
        # Doubling is exact, and what it saturates would have saturated in the end.
        pcm, gain = _loud(pcm, 2 << _LOUD_BITS), gain / 2
    if gain <= 1.0:
        return _soft(pcm, round(gain * (1 << _SOFT_BITS)))
    return _loud(pcm, round(gain * (1 << _LOUD_BITS)))


def ramp_gain(pcm: bytes, fmt: Format, start: float, stop: float) -> bytes:
    """`pcm` with its gain moved in a straight line from `start` to `stop`.

    pcm: whole frames of s16le. The frame before it is taken to have had `start`, the
    last frame has `stop`, so blocks at constant gain join on both sides without a step
    greater than the ramp's own. Raises ValueError for gains outside 0.0..MAX_GAIN and
    for bytes that are not whole frames.
    """
    _check(start)
    _check(stop)
    if len(pcm) % fmt.frame_bytes:
        raise ValueError(f"{len(pcm)} bytes are not whole frames of {fmt}")
    if start == stop:
        return apply_gain(pcm, stop)
    samples = array("h", pcm)
    if byteorder == "big":
        samples.byteswap()
    frames = len(samples) // fmt.channels
    step = (stop - start) / max(1, frames)
    gains = [start + step * i for i in range(1, frames)] + [stop]
    for channel in range(fmt.channels):
        plane = samples[channel :: fmt.channels]
        scaled = [round(sample * gain) for sample, gain in zip(plane, gains, strict=False)]
        if max(start, stop) > 1.0:
            scaled = [max(-32768, min(32767, value)) for value in scaled]
        samples[channel :: fmt.channels] = array("h", scaled)
    if byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _check(gain: float) -> None:
    if not 0.0 <= gain <= MAX_GAIN:
        raise ValueError(f"gain {gain} is outside 0..{MAX_GAIN:g}")


def _soft(pcm: bytes, factor: int) -> bytes:
    """Times factor / 2^16, at most 1: nothing can overflow, so nothing is tested."""
    half = 1 << _SOFT_BITS - 1
    bias = fill((OFFSET << _SOFT_BITS) + half, lanes_of(pcm)) - fill(OFFSET * factor, lanes_of(pcm))
    even, odd = split(pcm)
    return join(even * factor + bias, odd * factor + bias, _SOFT_BITS, len(pcm))


def _loud(pcm: bytes, factor: int) -> bytes:
    """Times factor / 2^14, at most 2, saturated."""
    lanes = lanes_of(pcm)
    half = 1 << _LOUD_BITS - 1
    bias = fill((1 << _GUARD_BIT) + (OFFSET << _LOUD_BITS) + half, lanes)
    bias -= fill(OFFSET * factor, lanes)
    even, odd = (_saturated(plane * factor + bias, lanes) for plane in split(pcm))
    return join(even, odd, _LOUD_BITS, len(pcm))


def _saturated(value: int, lanes: int) -> int:
    inside = fill(1 << _GUARD_BIT, lanes)
    if value & inside == inside:
        return value
    return clamp(value, fill(1, lanes), _GUARD_BIT, _LOUD_BITS)
