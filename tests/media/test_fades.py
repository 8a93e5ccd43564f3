"""Gaps and seams: no click, the right length, and real sound never touched."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.fades import fade_frames, fade_out, gap, silence
from echowarp.media.format import Format

STEREO = Format(rate=48_000, channels=2, block_frames=240)


def frame(*samples: int) -> bytes:
    return array("h", samples).tobytes()


def samples(pcm: bytes) -> list[int]:
    return list(array("h", pcm))


def steps(values: list[int], channels: int) -> int:
    return max(abs(b - a) for a, b in zip(values, values[channels:], strict=False))


@given(st.integers(0, 200_000), st.integers(-32768, 32767), st.integers(-32768, 32767))
def test_a_gap_has_its_length_and_no_click(frames: int, before: int, after: int) -> None:
    pcm = b"".join(gap(frames, frame(before, before), frame(after, after), STEREO))
    assert len(pcm) == frames * STEREO.frame_bytes
    if frames >= 2 * fade_frames(STEREO):
        whole = [before, before, *samples(pcm), after, after]
        assert steps(whole, 2) <= 32768 // fade_frames(STEREO) + 2


def test_a_gap_falls_to_silence_between_its_seams() -> None:
    values = samples(b"".join(gap(480, frame(9000, -9000), frame(500, 700), STEREO)))
    ramp = fade_frames(STEREO) * 2
    assert set(values[ramp:-ramp]) == {0}
    assert values[:2] == [round(9000 * 96 / 97), round(-9000 * 96 / 97)]
    assert values[-2:] == [round(500 * 96 / 97), round(700 * 96 / 97)]


def test_a_gap_beside_silence_is_silence() -> None:
    assert not any(b"".join(gap(300, b"", b"", STEREO)))


def test_long_silence_comes_in_pieces_of_a_second() -> None:
    pieces = list(silence(48_000 * 3 + 7, STEREO))
    assert [len(p) // STEREO.frame_bytes for p in pieces] == [48_000, 48_000, 48_000, 7]


@pytest.mark.parametrize("frames", [0, 1, 2, 95, 96, 97, 240])
def test_fade_out_has_its_length(frames: int) -> None:
    assert len(fade_out(frame(20_000, 20_000), frames, STEREO)) == frames * 4
