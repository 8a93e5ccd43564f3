"""Conversion between rates: count, purity, continuity, saturation."""

from __future__ import annotations

import math
import random
import struct

import pytest

from echowarp.media import rate_converter
from echowarp.media.rate_converter import RateConverter
from tests.tones import channel_of, sine_fit, tone


def run(pcm: bytes, made: RateConverter, channels: int, block_frames: int) -> bytes:
    size = 2 * channels * block_frames
    return b"".join(made.process(pcm[at : at + size]) for at in range(0, len(pcm), size))


RATIOS = [
    (44_100, 48_000),
    (48_000, 44_100),
    (48_000, 8_000),
    (8_000, 48_000),
    (48_000, 96_000),
    (32_000, 44_100),
]


@pytest.mark.parametrize(("rate_in", "rate_out"), RATIOS)
def test_a_tone_stays_pure_and_in_place(rate_in: int, rate_out: int) -> None:
    hz = 1_000
    made = RateConverter(rate_in, rate_out, 1)
    got = channel_of(run(tone(rate_in // 4, hz, rate_in), made, 1, 240), 0, 1)
    skipped = math.ceil(made.delay_frames * rate_out / rate_in)
    radians = 2 * math.pi * hz / rate_out
    snr_db, phase = sine_fit(got[skipped:], radians, radians * skipped % (2 * math.pi))
    assert snr_db >= 80
    assert abs(phase) < 1e-4


@pytest.mark.parametrize(("rate_in", "rate_out"), RATIOS[:2])
def test_high_tones_stay_pure(rate_in: int, rate_out: int) -> None:
    got = channel_of(
        run(tone(9_600, 10_000, rate_in), RateConverter(rate_in, rate_out, 1), 1, 240), 0, 1
    )
    assert sine_fit(got[40:], 2 * math.pi * 10_000 / rate_out)[0] >= 82


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    got = channel_of(run(tone(4_800, 6_000, 48_000), RateConverter(48_000, 8_000, 1), 1, 240), 0, 1)
    assert max(map(abs, got[30:])) < 16384 / 1000


@pytest.mark.parametrize(("rate_in", "rate_out"), [*RATIOS, (44_100, 48_001), (48_000, 44_099)])
@pytest.mark.parametrize("block_frames", [240, 1, 77])
def test_the_number_of_frames_is_exact(rate_in: int, rate_out: int, block_frames: int) -> None:
    made = RateConverter(rate_in, rate_out, 2)
    frames = 2_000
    got = len(run(bytes(4 * frames), made, 2, block_frames)) // 4
    assert got == math.ceil((frames - made.delay_frames) * rate_out / rate_in)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATIOS[:3])
def test_blocks_leave_no_trace(rate_in: int, rate_out: int) -> None:
    pcm = random.Random(3).randbytes(2 * 2 * 3_000)
    whole = RateConverter(rate_in, rate_out, 2).process(pcm)
    for block_frames in (1, 7, 240):
        assert run(pcm, RateConverter(rate_in, rate_out, 2), 2, block_frames) == whole


@pytest.mark.parametrize("channels", [1, 6])
def test_channels_do_not_touch_each_other(channels: int) -> None:
    planes = [random.Random(seed).randbytes(2 * 500) for seed in range(channels)]
    pcm = b"".join(plane[at : at + 2] for at in range(0, 2 * 500, 2) for plane in planes)
    got = RateConverter(44_100, 48_000, channels).process(pcm)
    for channel, plane in enumerate(planes):
        alone = RateConverter(44_100, 48_000, 1).process(plane)
        assert channel_of(got, channel, channels) == channel_of(alone, 0, 1)


def test_overshoot_saturates() -> None:
    square = struct.pack("<6h", 32767, 32767, 32767, -32768, -32768, -32768) * 200
    got = channel_of(RateConverter(44_100, 48_000, 1).process(square), 0, 1)
    assert max(got) == 32767
    assert min(got) == -32768


def test_a_constant_stays_itself() -> None:
    got = RateConverter(48_000, 44_100, 1).process(struct.pack("<h", -12_345) * 1_000)
    assert set(channel_of(got, 0, 1)[40:]) == {-12_345}


def test_without_sumprod_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older Pythons add up in another order, which may tip a rounding, no more."""
    pcm = tone(1_000, 1_000, 44_100)
    usual = channel_of(RateConverter(44_100, 48_000, 1).process(pcm), 0, 1)
    monkeypatch.setattr(rate_converter, "_dot_product", rate_converter._sum_of_products)
    other = channel_of(RateConverter(44_100, 48_000, 1).process(pcm), 0, 1)
    assert max(abs(a - b) for a, b in zip(usual, other, strict=True)) <= 1


@pytest.mark.parametrize(
    ("rate_in", "rate_out", "channels"),
    [(7_999, 48_000, 2), (48_000, 192_001, 2), (48_000, 44_100, 0), (48_000, 44_100, 9)],
)
def test_what_is_no_format_is_refused(rate_in: int, rate_out: int, channels: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        RateConverter(rate_in, rate_out, channels)


def test_half_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="whole frames"):
        RateConverter(48_000, 44_100, 2).process(bytes(6))
