from __future__ import annotations

import struct

import pytest

from echowarp.media.channels import remix


def pcm_of(*frames: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack(f"<{len(frame)}h", *frame) for frame in frames)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(5,), (-7,)], [(5, 5), (-7, -7)]),
        ([(5,), (-7,)], [(5, 5, 0, 0), (-7, -7, 0, 0)]),
        ([(1, 3), (-32768, 32767)], [(2,), (0,)]),
        ([(-32768, -32768), (32767, 32767)], [(-32768,), (32767,)]),
        ([(1, 2), (-1, -2)], [(2,), (-1,)]),
        ([(1, 2, 3, 4, 5, 6)], [(1, 2)]),
        ([(10, 20, 3, 4, 5, 6)], [(15,)]),
        ([(1, 2), (3, 4)], [(1, 2, 0, 0, 0, 0, 0, 0), (3, 4, 0, 0, 0, 0, 0, 0)]),
        ([(1, 2, 3)], [(1, 2, 3, 0)]),
    ],
)
def test_what_goes_where(before: list[tuple[int, ...]], after: list[tuple[int, ...]]) -> None:
    assert remix(pcm_of(*before), len(before[0]), len(after[0])) == pcm_of(*after)


def test_nothing_to_change_and_nothing_at_all() -> None:
    pcm = pcm_of((1, 2))
    assert remix(pcm, 2, 2) is pcm
    assert remix(b"", 2, 1) == b"" == remix(b"", 1, 6)
