"""What fills a gap: the sound falls to silence and rises again, without a click."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from sys import byteorder

from echowarp.media.format import SAMPLE_BYTES, Format

FADE_MS = 2
"""Long enough to be no click, short enough to leave the gap a gap."""
CHUNK_MS = 1000
"""Long silences are made in pieces, so that memory stays constant."""


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if byteorder == "big":
        samples.byteswap()
    return samples


def _pcm(samples: array[int]) -> bytes:
    if byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _ramp(frame: bytes, frames: int, *, rising: bool) -> bytes:
    """`frame` repeated, scaled in a straight line between 1 and 0, ends left out."""
    values = _samples(frame)
    ramp: array[int] = array("h", bytes(SAMPLE_BYTES * len(values) * frames))
    for i in range(frames):
        weight = (i + 1 if rising else frames - i) / (frames + 1)
        base = i * len(values)
        for channel, value in enumerate(values):
            ramp[base + channel] = round(value * weight)
    return _pcm(ramp)


def fade_frames(fmt: Format) -> int:
    """How many frames one fade takes."""
    return max(1, fmt.rate * FADE_MS // 1000)


def silence(frames: int, fmt: Format) -> Iterator[bytes]:
    """`frames` frames of digital silence, in pieces of at most a second."""
    piece = fmt.rate * CHUNK_MS // 1000
    while frames > 0:
        yield bytes(min(frames, piece) * fmt.frame_bytes)
        frames -= piece


def gap(frames: int, before: bytes, after: bytes, fmt: Format) -> Iterator[bytes]:
    """A gap of `frames` frames between two sounds, in pieces of at most a second.

    before, after: the last frame before and the first frame after the gap (one
    frame of s16le each; b"" for silence). Both seams lie wholly inside the gap.
    """
    nothing = bytes(fmt.frame_bytes)
    ends = min(fade_frames(fmt), frames // 2)
    yield _ramp(before or nothing, ends, rising=False)
    yield from silence(frames - 2 * ends, fmt)
    yield _ramp(after or nothing, ends, rising=True)


def fade_out(frame: bytes, frames: int, fmt: Format) -> bytes:
    """`frames` frames that fall from `frame` (b"" for silence) to silence."""
    ramp = min(fade_frames(fmt), frames)
    fall = _ramp(frame or bytes(fmt.frame_bytes), ramp, rising=False)
    return fall + bytes((frames - ramp) * fmt.frame_bytes)
