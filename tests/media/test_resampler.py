"""The resampler: exact against a slow model, true to tone, place and neighbours."""

from __future__ import annotations

import math
import random
import struct
from functools import lru_cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echowarp.media import resampler
from echowarp.media.format import Format
from echowarp.media.resampler import LOOKAHEAD_FRAMES, MAX_PPM, Position, Resampler
from echowarp.media.windowed_sinc import fractional_taps, quantised
from tests.tones import channel_of, sine_fit, tone

RATE = 48_000
ONE = 1 << 48
TABLE = fractional_taps(16, 256, 1.0, 6.5)


def fmt_of(channels: int) -> Format:
    return Format(rate=RATE, channels=channels, block_frames=64)


def run(pcm: bytes, ppm: float, channels: int = 1, block_frames: int = 240) -> bytes:
    made = Resampler(fmt_of(channels))
    size = block_frames * 2 * channels
    return b"".join(made.process(pcm[at : at + size], ppm) for at in range(0, len(pcm), size))


@lru_cache(maxsize=8)
def slow_taps(fraction: int) -> list[int]:
    index, between = divmod(fraction * 256, ONE)
    pairs = zip(TABLE[index], TABLE[index + 1], strict=True)
    return quantised([a + (b - a) * (between / ONE) for a, b in pairs], 14)


class SlowResampler:
    """One channel, one sample at a time, integers of ordinary size."""

    def __init__(self) -> None:
        self.samples = [0] * 8
        self.position = Position()
        self.clipped = 0

    def process(self, samples: list[int], ppm: float) -> list[int]:
        self.samples += samples
        out: list[int] = []
        for piece in self.position.plan(len(self.samples) - 8 - LOOKAHEAD_FRAMES, ppm):
            out += [self._sample(piece, i) for i in range(piece.frames)]
        return out

    def _sample(self, piece: resampler.Piece, i: int) -> int:
        at = piece.start // ONE + i
        first = self._filtered(at, piece.start - piece.start // ONE * ONE)
        end = piece.stop - (piece.start // ONE + piece.frames) * ONE
        change = self._filtered(at + end // ONE, end % ONE) - first
        weight = i * 256 // piece.frames
        for bit in range(8):
            if weight >> bit & 1:
                first += change >> 8 - bit
        value = (first + (1 << 13)) >> 14
        self.clipped += not -32768 <= value <= 32767
        return max(-32768, min(32767, value))

    def _filtered(self, at: int, fraction: int) -> int:
        return sum(
            tap * self.samples[at + 1 + k] if 0 <= at + 1 + k < len(self.samples) else 0
            for k, tap in enumerate(slow_taps(fraction))
        )


@st.composite
def sounds(draw: st.DrawFn) -> tuple[int, list[tuple[int, float]], int]:
    channels = draw(st.sampled_from([1, 2, 3, 8]))
    ppm = st.floats(-MAX_PPM, MAX_PPM) | st.sampled_from([0.0, 200.0, -200.0, 3000.0, -3000.0])
    calls = draw(st.lists(st.tuples(st.integers(0, 150), ppm), min_size=1, max_size=4))
    return channels, calls, draw(st.integers(0, 1 << 32))


@settings(max_examples=60)
@given(sounds(), st.booleans())
def test_lanes_do_what_single_samples_do(
    sound: tuple[int, list[tuple[int, float]], int], square: bool
) -> None:
    channels, calls, seed = sound
    made, chance = Resampler(fmt_of(channels)), random.Random(seed)
    made.process(b"", 1.0)
    slow = [SlowResampler() for _ in range(channels)]
    for frames, ppm in calls:
        count = frames * channels
        samples = (
            chance.choices([-32768, 32767], k=count)
            if square
            else [chance.randint(-32768, 32767) for _ in range(count)]
        )
        got = made.process(struct.pack(f"<{count}h", *samples), ppm)
        for channel in range(channels):
            expected = slow[channel].process(samples[channel::channels], ppm)
            assert channel_of(got, channel, channels) == expected


def test_overshoot_saturates_as_the_model_does() -> None:
    square = [32767 if n // 3 % 2 else -32768 for n in range(2400)]
    slow = SlowResampler()
    expected = slow.process(square, 3000.0)
    made = Resampler(fmt_of(1))
    assert channel_of(made.process(struct.pack("<2400h", *square), 3000.0), 0, 1) == expected
    assert slow.clipped > 100


@pytest.mark.parametrize("ppm", [200.0, -200.0])
@pytest.mark.parametrize(("hz", "least_db"), [(1_000, 70), (10_000, 65), (18_000, 55)])
def test_tones_stay_pure_at_200_ppm(hz: int, least_db: int, ppm: float) -> None:
    got = channel_of(run(tone(RATE, hz, RATE), ppm), 0, 1)
    assert sine_fit(got, 2 * math.pi * hz / RATE * (1 + ppm / 1e6))[0] >= least_db


@pytest.mark.parametrize("ppm", [3000.0, -3000.0])
@pytest.mark.parametrize(("hz", "least_db"), [(1_000, 73), (10_000, 53)])
def test_tones_stay_pure_at_3000_ppm(hz: int, least_db: int, ppm: float) -> None:
    got = channel_of(run(tone(RATE, hz, RATE), ppm), 0, 1)
    assert sine_fit(got, 2 * math.pi * hz / RATE * (1 + ppm / 1e6))[0] >= least_db


@pytest.mark.parametrize("ppm", [200.0, -200.0])
@pytest.mark.parametrize(("channels", "block_frames"), [(2, 240), (2, 37), (6, 98), (1, 1)])
def test_any_format_and_block_is_as_pure(channels: int, block_frames: int, ppm: float) -> None:
    got = run(tone(9_600, 1_000, RATE, channels=channels), ppm, channels, block_frames)
    radians = 2 * math.pi * 1_000 / RATE * (1 + ppm / 1e6)
    for channel in range(channels):
        assert sine_fit(channel_of(got, channel, channels), radians)[0] >= 70


def test_nothing_is_touched_until_the_first_correction() -> None:
    made = Resampler(fmt_of(2))
    for frames in (240, 3, 0, 480):
        block = tone(frames, 1_000, RATE, channels=2)
        assert made.process(block, 0.0) is block
        assert made.delay_frames == 0
    made.process(bytes(960), 0.5)
    assert made.delay_frames == LOOKAHEAD_FRAMES


@pytest.mark.parametrize("block_frames", [240, 5, 1])
def test_the_first_correction_joins_without_a_seam(block_frames: int) -> None:
    """Before it all frames have come out; after it the same sine goes on, to the sample."""
    pcm, cut, size = tone(4_800, 900, RATE), 2_400, 2 * block_frames
    made = Resampler(fmt_of(1))
    blocks = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    out = b"".join(
        made.process(block, 0.0 if i * block_frames < cut else 0.001)
        for i, block in enumerate(blocks)
    )
    assert len(out) == len(pcm) - 2 * LOOKAHEAD_FRAMES
    pairs = zip(channel_of(out, 0, 1), channel_of(pcm, 0, 1), strict=False)
    assert max(abs(a - b) for a, b in pairs) <= 1


def test_changes_of_correction_do_not_click() -> None:
    """A sine's second difference stays what a sine's is."""
    hz, amplitude = 300, 0.9
    pcm = tone(24_000, hz, RATE, amplitude=amplitude)
    made, chance = Resampler(fmt_of(1)), random.Random(5)
    out = b""
    for at in range(0, len(pcm), 480):
        ppm = chance.choice([0.0, 200.0, -300.0, 301.0, 3000.0, -3000.0])
        out += made.process(pcm[at : at + 480], ppm)
    w = 2 * math.pi * hz / RATE * 1.003
    steps = [b - a for a, b in pairwise(channel_of(out, 0, 1)[20:])]
    # Four half steps of rounding of the input and as many of the output.
    assert max(abs(b - a) for a, b in pairwise(steps)) <= amplitude * 32767 * w * w + 4


def test_constants_and_silence_pass_unchanged() -> None:
    for level in (0, 1, -32768, 32767):
        got = channel_of(run(struct.pack("<h", level) * 2_400, -1234.5), 0, 1)
        assert set(got[20:]) == {level}


@given(
    st.lists(st.integers(0, 700), max_size=12), st.sampled_from([200.0, -200.0, 3000.0, -3000.0])
)
def test_how_many_frames_come_out_does_not_depend_on_the_blocks(
    sizes: list[int], ppm: float
) -> None:
    made = Resampler(fmt_of(1))
    got = sum(len(made.process(bytes(2 * size), ppm)) // 2 for size in sizes)
    usable = sum(sizes) - LOOKAHEAD_FRAMES
    assert got == max(0, math.ceil(usable / (1 + ppm / 1e6)))


def test_the_place_is_exact_after_an_hour() -> None:
    """Blocks of 5 ms under a wandering correction; nothing but the last rounding is lost."""
    position, exact, units = Position(), 0, 1024 * 10**6
    inputs = 0
    for i in range(3600 * 200):
        ppm_1024 = 200 * 1024 + (i * 37) % 2048 - 1024
        inputs += 240
        pieces = position.plan(240 + (-LOOKAHEAD_FRAMES if not i else 0), ppm_1024 / 1024)
        exact += sum(piece.frames for piece in pieces) * (units + ppm_1024)
        position.rebase(240 if i else 240 - LOOKAHEAD_FRAMES)
    place = inputs - LOOKAHEAD_FRAMES + position.place / ONE
    assert abs(place - exact / units) < 1e-5
    assert 0 <= position.place < 2 * ONE


@pytest.mark.parametrize("ppm", [200.0, -200.0, 900.0])
def test_a_tone_is_in_place_after_minutes(ppm: float) -> None:
    """The phase of the last second, at 8 kHz: 1 kHz repeats in every block."""
    fmt = Format(rate=8_000, channels=1, block_frames=40)
    block, made, frames, last = tone(400, 1_000, 8_000), Resampler(fmt), 0, b""
    for _ in range(20 * 120):
        last = made.process(block, ppm)
        frames += len(last) // 2
    radians = 2 * math.pi * 1_000 / 8_000 * (1 + ppm / 1e6)
    start = radians * (frames - len(last) // 2)
    _, phase = sine_fit(channel_of(last, 0, 1), radians, start % (2 * math.pi))
    assert abs(phase) < 1e-3  # a thousandth of a frame


@pytest.mark.parametrize("ppm", [3000.1, -4000.0, math.nan])
def test_a_correction_out_of_range_is_refused(ppm: float) -> None:
    with pytest.raises(ValueError, match="ppm"):
        Resampler(fmt_of(1)).process(bytes(480), ppm)


def test_half_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="whole frames"):
        Resampler(fmt_of(2)).process(bytes(962), 0.0)


def test_guards_hold_the_greatest_change_within_a_piece() -> None:
    """The change between a piece's two filters never reaches the guard of its lanes."""
    far = math.ceil(256 * 3000e-6 * resampler._FAST_PIECE_FRAMES)
    long_row = [[0.0, *row, 0.0] for row in TABLE[:-1]]
    moved = long_row + [[0.0, 0.0, *row] for row in TABLE]
    for phase in range(256):
        step = [b - a for a, b in zip(moved[phase], moved[phase + far], strict=True)]
        assert sum(value for value in step if value > 0) * (1 << 14) < 1 << 14
