from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.fader import Fader
from echowarp.media.format import Format
from echowarp.media.gain import apply_gain

STEREO = Format(rate=48_000, channels=2, block_frames=240)
BLOCK = struct.pack("<2h", 12_000, -6_000) * 240


def left_of(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))[::2]


def test_at_full_volume_nothing_is_touched() -> None:
    fader = Fader(STEREO, 1.0)
    assert all(fader.process(BLOCK, 1.0) is BLOCK for _ in range(3))
    fader.process(BLOCK, 0.0)
    fader.process(BLOCK, 1.0)
    assert fader.process(BLOCK, 1.0) is BLOCK


def test_the_first_gain_is_there_at_once() -> None:
    assert Fader(STEREO, 0.3).process(BLOCK, 0.3) == apply_gain(BLOCK, 0.3)


@pytest.mark.parametrize(("start", "stop"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.05), (0.5, 0.45)])
@pytest.mark.parametrize("piece_frames", [1, 7, 100, 240, 1000])
def test_a_change_is_one_straight_line_over_a_block(
    start: float, stop: float, piece_frames: int
) -> None:
    """However large the pieces: those of a file may be a few frames."""
    fader = Fader(STEREO, start)
    pcm, size = BLOCK * 5, piece_frames * STEREO.frame_bytes
    got = left_of(fader.process(BLOCK, start))[-1:] + left_of(
        b"".join(fader.process(pcm[at : at + size], stop) for at in range(0, len(pcm), size))
    )
    for frame in range(1, 1200):
        gain = start + (stop - start) * min(1.0, frame / 240)
        assert abs(got[frame] - 12_000 * gain) <= 1.1


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=12))
def test_whatever_is_asked_for_there_is_no_step(asked: list[tuple[int, int]]) -> None:
    """asked: frames, percent. Changes may overtake each other."""
    fader = Fader(STEREO, 1.0)
    fmt_bytes = STEREO.frame_bytes
    quiet = struct.pack("<2h", 1_000, 1_000)
    got = [1_000]
    for frames, percent in asked:
        pcm = fader.process(quiet * frames, percent / 100)
        assert len(pcm) == frames * fmt_bytes
        got += left_of(pcm)
    assert max((abs(b - a) for a, b in pairwise(got)), default=0) <= 4 * 1_000 / 240 + 1


def test_a_gain_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="gain"):
        Fader(STEREO, 1.0).process(BLOCK, 17.0)
