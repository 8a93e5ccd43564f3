from __future__ import annotations

import random

import pytest

from echowarp.media.channels import remix
from echowarp.media.format import Format
from echowarp.media.pull_converter import PullConverter
from echowarp.media.rate_converter import RateConverter


class Stream:
    """Random sound, and how much of it was taken."""

    def __init__(self, fmt: Format, frames: int) -> None:
        self.fmt = fmt
        self.pcm = random.Random(5).randbytes(fmt.frame_bytes * frames)
        self.taken: list[int] = []

    def pull(self, frames: int) -> bytes:
        at = sum(self.taken)
        self.taken.append(frames)
        size = self.fmt.frame_bytes
        return self.pcm[at * size : (at + frames) * size]


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(48_000, 44_100), (44_100, 48_000), (48_000, 8_000), (8_000, 48_000), (48_000, 96_000)],
)
@pytest.mark.parametrize("frames", [1, 64, 441])
def test_the_device_gets_its_frames_and_the_stream_gives_no_more(
    rate_in: int, rate_out: int, channels: int, frames: int
) -> None:
    enough = 2_000 * rate_in // rate_out + 500
    stream = Stream(Format(rate=rate_in, channels=2, block_frames=5), enough)
    made = PullConverter(stream.fmt, rate_out, channels)
    calls = 2_000 // frames
    pulls = [made.pull(frames, stream.pull) for _ in range(calls)]
    assert {len(pcm) for pcm in pulls} == {2 * channels * frames}
    narrow = min(2, channels)
    at_rate = RateConverter(rate_in, rate_out, narrow).process(remix(stream.pcm, 2, narrow))
    whole = remix(at_rate, narrow, channels)
    assert b"".join(pulls) == whole[: 2 * channels * frames * calls]
    held = made.delay_ns * rate_in / 1e9
    assert (
        abs(sum(stream.taken) - held - calls * frames * rate_in / rate_out)
        <= 2 + rate_in / rate_out
    )
    # An even pace, but for what the filter takes at first.
    rest = stream.taken[1:]
    even = frames * rate_in / rate_out
    assert all(even - 1 <= each <= even + 1 for each in rest) or even < 1


def test_another_number_of_channels_alone_holds_nothing_back() -> None:
    stream = Stream(Format(rate=48_000, channels=2, block_frames=240), 480)
    made = PullConverter(stream.fmt, 48_000, 1)
    assert made.pull(240, stream.pull) == remix(stream.pcm[:960], 2, 1)
    assert stream.taken == [240]
    assert made.delay_ns == 0
