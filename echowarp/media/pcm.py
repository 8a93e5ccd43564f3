"""Samples of other encodings to signed 16-bit little-endian, and the level of a block.

Integers go through one wide integer with a lane for each sample, floats through the
mantissa of a double: neither costs Python work per sample beyond one multiply-add, so
a block converts in well under a millisecond beside running audio.
"""

from __future__ import annotations

import math
import struct
from array import array
from enum import Enum
from operator import mul
from sys import byteorder

SILENCE_DB = -96.0
"""The floor of a level: 16 bits reach about 96 dB down."""

_FULL_SCALE = 32768
_FLIP_SIGN = bytes(value ^ 0x80 for value in range(256))
_MANTISSA_BIAS = 1.5 * 2.0**52
"""Added to a double of up to 51 bits, rounds it half to even and leaves it, as two's
complement, in the low bits of the mantissa (the classic conversion of IEEE 754)."""


class SampleEncoding(Enum):
    """How one sample is stored, little-endian: the name says kind and bits."""

    U8 = "u8"
    S16 = "s16"
    S24 = "s24"
    S32 = "s32"
    F32 = "f32"
    F64 = "f64"

    @property
    def sample_bytes(self) -> int:
        """Bytes that one sample takes."""
        return int(self.value[1:]) // 8


def to_s16(data: bytes, encoding: SampleEncoding) -> bytes:
    """Converts little-endian samples to signed 16-bit little-endian.

    Integers of more bits are rounded (half up) and saturate; floats are scaled by
    32768, rounded half to even and clipped, and a NaN is 0. Raises ValueError when
    `data` is not a whole number of samples.
    """
    if len(data) % encoding.sample_bytes:
        raise ValueError(f"{len(data)} bytes are not whole {encoding.value} samples")
    if encoding is SampleEncoding.S16:
        return data
    if encoding is SampleEncoding.U8:
        wide = bytearray(2 * len(data))
        wide[1::2] = data.translate(_FLIP_SIGN)
        return bytes(wide)
    if encoding is SampleEncoding.S24:
        return _round_24(data[0::3], data[1::3], data[2::3])
    if encoding is SampleEncoding.S32:
        # The lowest byte cannot change which way the upper 16 bits are rounded.
        return _round_24(data[1::4], data[2::4], data[3::4])
    return _from_floats(data, encoding)


def _round_24(low: bytes, middle: bytes, high: bytes) -> bytes:
    """Rounds 24-bit samples, given as three planes of bytes, to 16 bits."""
    count = len(low)
    lanes = bytearray(4 * count)
    lanes[0::4] = low
    lanes[1::4] = middle
    lanes[2::4] = high.translate(_FLIP_SIGN)  # offset binary: no lane is negative
    half = int.from_bytes(b"\x80\x00\x00\x00" * count, "little")
    total = int.from_bytes(lanes, "little") + half
    ones = int.from_bytes(b"\x01\x00\x00\x00" * count, "little")
    total |= ((total >> 24) & ones) * 0xFFFF00  # a carry past the top: saturate
    rounded = total.to_bytes(4 * count, "little")
    result = bytearray(2 * count)
    result[0::2] = rounded[1::4]
    result[1::2] = rounded[2::4].translate(_FLIP_SIGN)
    return bytes(result)


def _from_floats(data: bytes, encoding: SampleEncoding) -> bytes:
    count = len(data) // encoding.sample_bytes
    code = "f" if encoding is SampleEncoding.F32 else "d"
    values = struct.unpack(f"<{count}{code}", data)
    # A NaN or an infinity anywhere makes the sum one, so it cannot take the short way.
    if values and not (
        math.isfinite(sum(values)) and min(values) >= -1.0 and max(values) <= 32767 / _FULL_SCALE
    ):
        values = tuple([_clip(value) for value in values])
    biased = [value * _FULL_SCALE + _MANTISSA_BIAS for value in values]
    mantissas = struct.pack(f"<{count}d", *biased)
    result = bytearray(2 * count)
    result[0::2] = mantissas[0::8]
    result[1::2] = mantissas[1::8]
    return bytes(result)


def _clip(value: float) -> float:
    if value >= 32767 / _FULL_SCALE:
        return 32767 / _FULL_SCALE
    if value >= -1.0:
        return value
    return -1.0 if value < -1.0 else 0.0  # only a NaN is neither


def level_db(pcm: bytes) -> float:
    """The RMS level of a block in dB below full scale, -96.0 (silence) to 0.0.

    pcm: whole frames of s16le, 1 to 8 channels. Looks at one sample in five (seven,
    eleven): a prime that does not divide the number of samples does not divide the
    number of channels either, so every channel is heard.
    """
    samples = array("h")
    samples.frombytes(pcm)
    if byteorder == "big":
        samples.byteswap()
    step = next((prime for prime in (5, 7) if len(samples) % prime), 11)
    some = samples[::step]
    power = sum(map(mul, some, some))
    if not power:
        return SILENCE_DB
    mean = power / len(some) / _FULL_SCALE**2
    return max(SILENCE_DB, 10.0 * math.log10(mean))
