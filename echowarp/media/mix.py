"""Mixing: the sum of several talkers' blocks, saturated."""

from __future__ import annotations

from collections.abc import Sequence

from echowarp.media.lanes import OFFSET, clamp, fill, join, lanes_of

MAX_TALKERS = 16
"""So many sums of 16 bits stay within 2^19 of the middle, half of the guard."""

_GUARD_BIT = 20


def mix(blocks: Sequence[bytes]) -> bytes:
    """The sum of blocks of s16le, each sample saturated to -32768..32767.

    blocks: 1 to 16, all of the same length in bytes, whole samples, any channels. One
    block comes back as it is. Raises ValueError for other numbers or unequal lengths.
    """
    if not 1 <= len(blocks) <= MAX_TALKERS:
        raise ValueError(f"{len(blocks)} blocks to mix is outside 1..{MAX_TALKERS}")
    first = blocks[0]
    size = len(first)
    if size % 2 or any(len(block) != size for block in blocks):
        raise ValueError("blocks to mix must be whole samples, all of one length")
    if len(blocks) == 1:
        return first
    lanes = lanes_of(first)
    flip, mask = fill(OFFSET << 16 | OFFSET, lanes), fill(0xFFFF, lanes)
    evens, both = 0, 0
    for block in blocks:
        value = int.from_bytes(block, "little") ^ flip
        evens += value & mask
        both += value
    # Integers carry as far as they need to, so what is not of the even places is of the odd.
    odds = both - evens >> 16
    # N talkers carry N offsets, and one is to stay.
    bias = fill((1 << _GUARD_BIT) - OFFSET * (len(blocks) - 1), lanes)
    return join(_saturated(evens + bias, lanes), _saturated(odds + bias, lanes), 0, size)


def _saturated(value: int, lanes: int) -> int:
    if value & fill(0xFFFF0000, lanes) == fill(1 << _GUARD_BIT, lanes):
        return value
    return clamp(value, fill(1, lanes), _GUARD_BIT, 0)
