"""Lanes against plain lists of samples."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from echowarp.media import lanes

SAMPLES = st.lists(st.integers(-32768, 32767) | st.sampled_from([-32768, 32767, 0]), max_size=40)


def pcm_of(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def lane_values(value: int, count: int) -> list[int]:
    return [value >> 32 * i & 0xFFFFFFFF for i in range(count)]


@given(SAMPLES)
def test_split_holds_offset_binary(samples: list[int]) -> None:
    even, odd = lanes.split(pcm_of(samples))
    count = lanes.lanes_of(pcm_of(samples))
    assert lane_values(even, count) == [sample + 32768 for sample in samples[0::2]]
    silence = [0] * (len(samples) % 2)
    assert lane_values(odd, count) == [sample + 32768 for sample in samples[1::2] + silence]


@given(SAMPLES, st.integers(0, 16))
def test_join_is_the_inverse_of_split(samples: list[int], fraction_bits: int) -> None:
    pcm = pcm_of(samples)
    even, odd = lanes.split(pcm)
    noise = lanes.fill((1 << fraction_bits) - 1, lanes.lanes_of(pcm))
    joined = lanes.join(
        even << fraction_bits | noise, odd << fraction_bits | noise, fraction_bits, len(pcm)
    )
    assert joined == pcm


def test_join_ignores_the_guard_above_the_sample() -> None:
    guard = lanes.fill(1 << 30, 1)
    even, odd = lanes.split(pcm_of([-5, 7]))
    assert lanes.join(even << 14 | guard, odd << 14 | guard, 14, 4) == pcm_of([-5, 7])


@given(st.lists(st.integers(0, 3 * (1 << 30) - 1) | st.sampled_from([0, 1 << 30, (1 << 31) - 1])))
def test_clamp_with_a_guard_as_wide_as_the_range(values: list[int]) -> None:
    packed = sum(value << 32 * i for i, value in enumerate(values))
    clamped = lanes.clamp(packed, lanes.fill(1, len(values)), 30, 14)
    assert [lane >> 14 & 0xFFFF for lane in lane_values(clamped, len(values))] == [
        min(max(value - (1 << 30), 0) >> 14, 0xFFFF) for value in values
    ]


EDGES = [0, (1 << 20) - 1, 1 << 20, (1 << 20) + 0xFFFF, (1 << 20) + 0x10000, (1 << 21) + 0xFFFF]


@given(st.lists(st.integers(0, (1 << 21) + 0xFFFF) | st.sampled_from(EDGES)))
def test_clamp_with_a_wider_guard(values: list[int]) -> None:
    packed = sum(value << 32 * i for i, value in enumerate(values))
    clamped = lanes.clamp(packed, lanes.fill(1, len(values)), 20, 0)
    assert [lane & 0xFFFF for lane in lane_values(clamped, len(values))] == [
        min(max(value - (1 << 20), 0), 0xFFFF) for value in values
    ]


def test_clamp_leaves_no_bit_in_the_next_lane() -> None:
    ones = lanes.fill(1, 3)
    packed = (3 * (1 << 30) - 1) * ones
    assert lane_values(lanes.clamp(packed, ones, 30, 14), 4)[3] == 0
