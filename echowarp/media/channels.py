"""Another number of channels, for devices that refuse the stream's own."""

from __future__ import annotations

from array import array
from sys import byteorder


def remix(pcm: bytes, before: int, after: int) -> bytes:
    """`pcm` (whole frames of s16le with `before` channels) with `after` channels.

    One channel becomes two that are alike. To one channel, the first two are averaged,
    halves rounded up. Else channels keep their place: those too many are left out (a
    stereo device plays the front pair of a surround stream), those too few are silent.
    With nothing to change the same object comes back.
    """
    if before == after:
        return pcm
    samples = array("h", pcm)
    if after == 1:
        return _averaged(samples[0::before], samples[1::before])
    mixed = array("h", bytes(len(pcm) // before * after))
    for channel in range(min(before, after)):
        mixed[channel::after] = samples[channel::before]
    if before == 1:
        mixed[1::after] = samples
    return mixed.tobytes()


def _averaged(left: array[int], right: array[int]) -> bytes:
    if byteorder == "big":
        left.byteswap()
        right.byteswap()
    mixed = array("h", [(a + b + 1) >> 1 for a, b in zip(left, right, strict=True)])
    if byteorder == "big":
        mixed.byteswap()
    return mixed.tobytes()
