"""Many samples inside one big integer: arithmetic on a whole block at once.

Each sample sits in a 32-bit lane as offset binary (s16 + 32768, so never negative);
one multiplication, addition or mask then acts on all of them in C. A lane may hold a
negative value for a while, for Python's integers are exact: what counts is that every
lane lies in 0..2^32-1 when its bits are looked at.
"""

from __future__ import annotations

from functools import lru_cache

LANE_BITS = 32
LANE_BYTES = 4
OFFSET = 0x8000
"""Silence in offset binary."""
FLIP_SIGN = bytes(value ^ 0x80 for value in range(256))
"""For bytes.translate over the upper bytes of samples: s16 to offset binary and back."""

_LANE_ONES = (1 << LANE_BITS) - 1


@lru_cache(maxsize=256)
def fill(value: int, lanes: int) -> int:
    """The integer whose `lanes` lanes all hold `value` (0..2^32-1)."""
    return int.from_bytes(value.to_bytes(LANE_BYTES, "little") * lanes, "little")


def lanes_of(pcm: bytes) -> int:
    """How many lanes `split` needs for the samples of `pcm` (s16le)."""
    return (len(pcm) + LANE_BYTES - 1) // LANE_BYTES


def split(pcm: bytes) -> tuple[int, int]:
    """The samples of `pcm` (s16le) as two integers: those at even places, those at odd.

    Of an odd number the missing last one is silence.
    """
    lanes = lanes_of(pcm)
    both = int.from_bytes(pcm, "little") ^ fill(OFFSET << 16 | OFFSET, lanes)
    mask = fill(0xFFFF, lanes)
    return both & mask, both >> 16 & mask


def join(even: int, odd: int, fraction_bits: int, pcm_bytes: int) -> bytes:
    """The inverse of `split`: `pcm_bytes` bytes of s16le.

    Takes the 16 bits above the lowest `fraction_bits` (0..16) of each lane.
    """
    lanes = (pcm_bytes + LANE_BYTES - 1) // LANE_BYTES
    low = even >> fraction_bits & fill(0xFFFF, lanes)
    high = odd << (16 - fraction_bits) & fill(0xFFFF0000, lanes)
    both = (low | high) ^ fill(OFFSET << 16 | OFFSET, lanes)
    return both.to_bytes(LANE_BYTES * lanes, "little")[:pcm_bytes]


def clamp(value: int, ones: int, guard_bit: int, fraction_bits: int) -> int:
    """Saturates lanes that hold guard + sample * 2^fraction_bits, guard = 2^guard_bit.

    ones: 1 in each lane that counts, the others come back as anything. A lane is in
    range from guard to guard + 2^(16 + fraction_bits) - 1, and that width is at most
    guard; it may lie anywhere from 0 to 3 * guard - 1 (2 * guard + width - 1 where the
    width is less). The 16 bits above `fraction_bits` of the result are the sample's.
    """
    guard = 1 << guard_bit
    over = (value + ones * (guard - (1 << 16 + fraction_bits))) >> guard_bit + 1 & ones
    not_under = (value >> guard_bit | value >> guard_bit + 1) & ones
    return value & not_under * _LANE_ONES | over * (0xFFFF << fraction_bits)
