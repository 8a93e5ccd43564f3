"""The pieces of concealment: weights, bends, and the stretch that is repeated."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.format import Format
from echowarp.media.waveform import (
    Bend,
    Loop,
    blend,
    crossfade_weights,
    fade_line,
    from_pcm,
    recent_samples,
    to_pcm,
)

MONO = Format(rate=48_000, channels=1, block_frames=240)


def hum(frames: int, period: float, peak: int = 10_000) -> array[int]:
    return array("h", [round(peak * math.sin(2 * math.pi * n / period)) for n in range(frames)])


def test_pcm_is_little_endian() -> None:
    assert from_pcm(b"\x02\x01\xff\xff").tolist() == [0x0102, -1]
    assert to_pcm(array("h", [0x0102, -1])) == b"\x02\x01\xff\xff"


def test_recent_samples_are_the_last_40_ms_after_silence() -> None:
    pcm = to_pcm(array("h", range(1, 3001)))
    assert recent_samples(pcm, MONO).tolist() == list(range(1081, 3001))
    assert recent_samples(pcm[:10], MONO).tolist() == [0] * 1915 + [1, 2, 3, 4, 5]
    assert recent_samples(b"", MONO).tolist() == [0] * 1920


@pytest.mark.parametrize("frames", [1, 2, 16, 96, 384])
def test_crossfade_weights_add_up_to_one_and_end_with_the_new(frames: int) -> None:
    falling, rising = crossfade_weights(frames)
    assert len(falling) == len(rising) == frames
    assert {a + b for a, b in zip(falling, rising, strict=True)} == {1 << 32}
    assert list(rising) == sorted(rising) and falling[-1] == 0


@given(st.lists(st.integers(-32768, 32767), min_size=2, max_size=40))
def test_blending_a_sound_with_itself_changes_nothing(values: list[int]) -> None:
    sound = array("h", values[: len(values) // 2 * 2])
    assert blend(sound, sound, crossfade_weights(len(sound) // 2), 2) == sound


def test_blending_goes_from_the_old_to_the_new_without_overflow() -> None:
    low, high = array("h", [-32768] * 96), array("h", [32767] * 96)
    mixed = blend(low, high, crossfade_weights(96), 1).tolist()
    assert mixed == sorted(mixed) and mixed[0] < -32_000 and mixed[-1] == 32_767


def test_a_line_falls_evenly_in_every_channel() -> None:
    assert fade_line(array("h", [1000, -1000] * 4), 5, 5, 2).tolist() == [
        999, -1000, 799, -800, 599, -600, 399, -400,
    ]  # fmt: skip


def test_a_bend_takes_up_a_step_of_value_and_slope() -> None:
    last, supposed = array("h", [1000, 1100]), array("h", [0, 0])  # rising by 100 a frame
    samples = array("h", bytes(2 * 96))
    Bend(last, supposed, 1, 96).apply(samples, 0)
    assert abs(samples[0] - 1200) <= 10 and samples[-1] == 0
    pieces = array("h")
    for first in range(0, 96, 7):
        part = array("h", bytes(2 * min(7, 96 - first)))
        Bend(last, supposed, 1, 96).apply(part, first)
        pieces += part
    assert pieces == samples


def test_a_bend_backward_is_its_mirror_image() -> None:
    last, supposed = array("h", [5, -7, 1000, 900]), array("h", [0, 0, 30, 60])
    ahead, behind = array("h", bytes(4 * 50)), array("h", bytes(4 * 50))
    Bend(last, supposed, 2, 50).apply(ahead, 0)
    Bend(last, supposed, 2, 50).apply_backward(behind, 0)
    assert any(ahead)
    for channel in (0, 1):
        assert ahead[channel::2] == behind[channel::2][::-1]


def test_a_bend_saturates() -> None:
    samples = array("h", [32_000] * 50 + [-32_000] * 50)
    Bend(array("h", [32_767] * 2), array("h", [-32_768] * 2), 1, 100).apply(samples, 0)
    assert max(samples[:50]) == 32_767 and min(samples) >= -32_768


@pytest.mark.parametrize("period", [24, 75, 109, 240, 371, 480, 700])
def test_a_loop_repeats_whole_periods(period: int) -> None:
    sound = hum(1920 + 2000, period)
    repeated = Loop(sound[:1920], MONO).frames(0, 2000)
    assert max(abs(a - b) for a, b in zip(repeated, sound[1920:], strict=True)) <= 40


def test_the_frames_before_a_loop_are_what_led_to_it() -> None:
    sound = hum(1920, 300)
    assert Loop(sound, MONO).frames(-2, 2).tolist() == sound[1618:1620].tolist()
    joined = Loop(sound, MONO)
    assert joined.frames(0, 5000)[4000:] == Loop(sound, MONO).frames(4000, 1000)


def test_noise_and_silence_have_some_loop() -> None:
    noise = array("h", [(k * k * 7919 + k * 104_729) % 65_536 - 32_768 for k in range(1920)])
    assert len(Loop(noise, MONO).frames(0, 960)) == 960
    assert not any(Loop(array("h", bytes(3840)), MONO).frames(0, 960))
