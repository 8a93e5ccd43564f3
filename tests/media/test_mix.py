"""The mix against sums of single samples."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.mix import MAX_TALKERS, mix

SAMPLE = st.integers(-32768, 32767) | st.sampled_from([-32768, 32767])


def pcm_of(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def slow_mix(talkers: list[list[int]]) -> list[int]:
    return [max(-32768, min(32767, sum(column))) for column in zip(*talkers, strict=True)]


@st.composite
def talkers(draw: st.DrawFn) -> list[list[int]]:
    count = draw(st.integers(0, 25))
    one = st.lists(SAMPLE, min_size=count, max_size=count)
    return draw(st.lists(one, min_size=1, max_size=MAX_TALKERS))


@given(talkers())
def test_every_sample_is_the_saturated_sum(blocks: list[list[int]]) -> None:
    assert mix([pcm_of(block) for block in blocks]) == pcm_of(slow_mix(blocks))


@pytest.mark.parametrize("count", range(2, MAX_TALKERS + 1))
def test_any_number_of_talkers_at_full_scale(count: int) -> None:
    loud = pcm_of([32767, -32768, 32767, 0, -1])
    assert mix([loud] * count) == pcm_of([32767, -32768, 32767, 0, -count])


def test_sums_at_the_edge_are_exact() -> None:
    assert mix([pcm_of([32767, -32768, 32766]), pcm_of([0, 0, 1])]) == pcm_of(
        [32767, -32768, 32767]
    )
    assert mix([pcm_of([32767, -32768]), pcm_of([1, -1])]) == pcm_of([32767, -32768])


def test_one_talker_comes_back_as_it_is() -> None:
    block = bytes(960)
    assert mix([block]) is block


@pytest.mark.parametrize(
    "blocks", [[], [b"\0\0"] * 17, [b"\0\0", b"\0\0\0\0"], [b"\0", b"\0"]], ids=repr
)
def test_what_cannot_be_mixed_is_refused(blocks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="mix"):
        mix(blocks)
