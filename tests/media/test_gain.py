"""Gain against arithmetic on single samples, and ramps that make no step."""

from __future__ import annotations

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.format import Format
from echowarp.media.gain import MAX_GAIN, apply_gain, ramp_gain

SAMPLES = st.lists(st.integers(-32768, 32767) | st.sampled_from([-32768, 32767]), max_size=40)
EVERY_LOUDNESS = [-32768, -32767, -20000, -3, -2, -1, 0, 1, 2, 3, 20000, 32766, 32767]
STEREO = Format(rate=48_000, channels=2, block_frames=240)


def pcm_of(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def samples_of(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def slow_gain(sample: int, gain: float) -> int:
    bits = 16 if gain <= 1 else 14
    while gain > 2:
        gain, bits = gain / 2, bits - 1
    factor = round(gain * (1 << (16 if gain <= 1 else 14)))
    return max(-32768, min(32767, (sample * factor + (1 << bits - 1)) >> bits))


@given(SAMPLES, st.floats(0.0, MAX_GAIN) | st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, MAX_GAIN]))
def test_every_sample_is_the_rounded_saturated_product(samples: list[int], gain: float) -> None:
    assert samples_of(apply_gain(pcm_of(samples), gain)) == [
        slow_gain(sample, gain) for sample in samples
    ]


@pytest.mark.parametrize("gain", [0.0, 1e-3, 0.25, 0.999999, 1.000001, 1.5, 2.0, 2.000001, 7.0])
def test_the_product_is_right_to_the_precision_of_the_gain(gain: float) -> None:
    got = samples_of(apply_gain(pcm_of(EVERY_LOUDNESS), gain))
    for sample, value in zip(EVERY_LOUDNESS, got, strict=True):
        exact = max(-32768.0, min(32767.0, sample * gain))
        assert abs(value - exact) <= 0.51 + abs(sample) * max(1.0, gain) * 2.0**-15


def test_unity_changes_nothing() -> None:
    block = pcm_of(EVERY_LOUDNESS)
    assert apply_gain(block, 1.0) is block
    assert ramp_gain(block[:8], STEREO, 1.0, 1.0) == block[:8]


def test_zero_is_silence() -> None:
    assert apply_gain(pcm_of(EVERY_LOUDNESS), 0.0) == bytes(2 * len(EVERY_LOUDNESS))


@pytest.mark.parametrize("gain", [-0.1, 16.1, math.nan, math.inf])
def test_a_gain_out_of_range_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="gain"):
        apply_gain(b"\0\0", gain)
    with pytest.raises(ValueError, match="gain"):
        ramp_gain(bytes(4), STEREO, 1.0, gain)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_ramp_moves_all_channels_in_one_straight_line(channels: int) -> None:
    fmt = Format(rate=48_000, channels=channels, block_frames=90)
    levels = [20_000 - 3_000 * channel for channel in range(channels)]
    got = samples_of(ramp_gain(pcm_of(levels * 90), fmt, 1.0, 0.25))
    for i in range(90):
        gain = 1.0 - 0.75 * (i + 1) / 90
        expected = [level * gain for level in levels]
        frame = got[i * channels : (i + 1) * channels]
        assert all(abs(a - b) <= 0.5001 for a, b in zip(frame, expected, strict=True))


@pytest.mark.parametrize(("start", "stop"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0), (1.0, 0.9)])
def test_blocks_at_constant_gain_join_a_ramp_without_a_step(start: float, stop: float) -> None:
    block = pcm_of([12_000] * 480)
    joined = (
        apply_gain(block, start) + ramp_gain(block, STEREO, start, stop) + apply_gain(block, stop)
    )
    left = samples_of(joined)[::2]
    steps = [abs(b - a) for a, b in pairwise(left)]
    assert max(steps) <= 12_000 * abs(stop - start) / 240 + 1


def test_a_ramp_saturates() -> None:
    got = samples_of(ramp_gain(pcm_of([30_000, -30_000] * 240), STEREO, 1.0, 4.0))
    assert max(got) == 32767
    assert min(got) == -32768


def test_a_ramp_over_nothing_is_nothing() -> None:
    assert ramp_gain(b"", STEREO, 0.0, 1.0) == b""


def test_a_ramp_wants_whole_frames() -> None:
    with pytest.raises(ValueError, match="whole frames"):
        ramp_gain(bytes(6), STEREO, 0.0, 1.0)
