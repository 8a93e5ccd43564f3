"""What recordings hold, for tests of outages and losses."""

from __future__ import annotations

from pathlib import Path

from tests.processes import wait_until

FRAME_BYTES = 4
"""Stereo, as all sounds here are."""
HEADER_BYTES = 80
SECOND_BYTES = 48_000 * FRAME_BYTES
BLOCK_BYTES = 240 * FRAME_BYTES
FALL_BYTES = 51 * 48 * FRAME_BYTES
"""A gap begins with 50 ms that go on with what was there before it."""
RISE_BYTES = 5 * 48 * FRAME_BYTES
"""It ends with a seam shorter than this."""


def recorded_bytes(path: Path) -> int:
    """How many bytes of samples the recording has so far."""
    try:
        return path.stat().st_size - HEADER_BYTES
    except FileNotFoundError:
        return 0


def has_recorded(path: Path, seconds: float) -> None:
    """Waits until the recording is so long."""
    wait_until(
        lambda: recorded_bytes(path) >= seconds * SECOND_BYTES,
        f"{path.name} holds {seconds:g} s",
        patience_s=seconds + 20,
    )


def is_silent_gap(pcm: bytes) -> bool:
    """Whether it is silence between its fall and its rise."""
    return not any(pcm[FALL_BYTES:-RISE_BYTES])


def common_start(one: bytes, other: bytes) -> int:
    """Length of the whole frames in which both agree, from their start, bytes."""
    length = min(len(one), len(other))
    same = next((n for n in range(0, length, BLOCK_BYTES) if one[n:][:960] != other[n:][:960]), -1)
    if same < 0:
        return length
    while one[same : same + FRAME_BYTES] == other[same : same + FRAME_BYTES] and same < length:
        same += FRAME_BYTES
    return same
