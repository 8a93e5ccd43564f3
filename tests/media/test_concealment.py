"""Concealment: the sound goes on, nothing clicks, and what arrived stays as it was."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.concealment import FADE_MS, LEVEL_MS, Concealer, History, fill
from echowarp.media.format import Format

STEREO = Format(rate=48_000, channels=2, block_frames=240)
MONO = Format(rate=48_000, channels=1, block_frames=240)

formats = st.builds(
    lambda rate, channels: Format.for_blocks(rate=rate, channels=channels, block_ms=5),
    st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]),
    st.integers(1, 8),
)


def tone(fmt: Format, first: int, frames: int, *pitches: float, peak: float = 12_000) -> bytes:
    """Sines of equal strength, shifted in phase from channel to channel."""
    return sound(
        fmt,
        first,
        frames,
        lambda n, channel: sum(
            peak / len(pitches) * math.sin(2 * math.pi * pitch * n / fmt.rate + channel)
            for pitch in pitches
        ),
    )


def sound(fmt: Format, first: int, frames: int, value: Callable[[int, int], float]) -> bytes:
    return array(
        "h",
        [round(value(n, c)) for n in range(first, first + frames) for c in range(fmt.channels)],
    ).tobytes()


def samples(pcm: bytes, fmt: Format = MONO, channel: int = 0) -> list[int]:
    return list(array("h", pcm))[channel :: fmt.channels]


def largest_step(pcm: bytes, fmt: Format) -> int:
    """The largest difference of neighbours in any channel."""
    every = array("h", pcm)
    return max(abs(b - a) for a, b in zip(every, every[fmt.channels :], strict=False))


def correlation(a: list[int], b: list[int]) -> float:
    both = sum(x * y for x, y in zip(a, b, strict=True))
    return both / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def loudness(values: list[int]) -> float:
    return math.sqrt(sum(v * v for v in values) / len(values))


def after(fmt: Format, history: bytes) -> Concealer:
    concealer = Concealer(fmt)
    concealer.remember(history)
    return concealer


PITCHES = [
    (100.0,), (137.0,), (220.0,), (261.6,), (440.0,), (523.3,), (700.0,), (937.0,), (1000.0,),
    (100.0, 200.0, 300.0), (220.0, 330.0), (150.0, 450.0, 750.0), (200.0, 1000.0),
]  # fmt: skip


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("pitches", PITCHES, ids=str)
def test_a_tone_goes_on_in_pitch_and_phase(rate: int, pitches: tuple[float, ...]) -> None:
    fmt = Format.for_blocks(rate=rate, channels=2, block_ms=5)
    start, length = rate // 20, rate // 50  # 50 ms heard, 20 ms missing
    concealed = after(fmt, tone(fmt, 0, start, *pitches)).conceal(length)
    truth = tone(fmt, start, length, *pitches)
    for channel in (0, 1):
        assert correlation(samples(concealed, fmt, channel), samples(truth, fmt, channel)) > 0.95


def test_channels_in_opposite_phase_are_heard() -> None:
    def opposed(n: int, channel: int) -> float:
        return (1 - 2 * channel) * 9000 * math.sin(2 * math.pi * 147 * n / 48_000)

    concealed = after(STEREO, sound(STEREO, 0, 2400, opposed)).conceal(480)
    truth = sound(STEREO, 2400, 480, opposed)
    assert correlation(samples(concealed, STEREO), samples(truth, STEREO)) > 0.95


def test_the_level_holds_for_10_ms_and_falls_in_a_line_to_zero_at_50() -> None:
    gap = samples(after(MONO, tone(MONO, 0, 4800, 1000.0)).conceal(48 * 70))
    full = 12_000 / math.sqrt(2)
    periods = [loudness(gap[k * 48 : k * 48 + 48]) / full for k in range(70)]  # 1 ms each
    assert all(level == pytest.approx(1, abs=0.02) for level in periods[:LEVEL_MS])
    for ms in range(LEVEL_MS, LEVEL_MS + FADE_MS):
        assert periods[ms] == pytest.approx((LEVEL_MS + FADE_MS - ms - 0.5) / FADE_MS, abs=0.02)
    assert not any(gap[48 * (LEVEL_MS + FADE_MS) :])


@pytest.mark.parametrize("missing", [1, 2, 4, 10, 11, 40])
@pytest.mark.parametrize("pitches", [(100.0,), (443.0,), (211.0, 318.0, 907.0)], ids=str)
def test_neither_seam_clicks(missing: int, pitches: tuple[float, ...]) -> None:
    heard = tone(STEREO, 0, 4800, *pitches)
    later = tone(STEREO, 4800 + missing * 240, 960, *pitches)
    concealer = after(STEREO, heard)
    gap = b"".join(concealer.conceal(240) for _ in range(missing))
    whole = heard[-400:] + gap + concealer.resume(later)
    own = largest_step(heard, STEREO)
    # A crossfade from silence over 2 ms adds its own slope: at most 1.5 peaks in 96 frames.
    assert largest_step(whole, STEREO) <= 1.3 * own + 1.5 * 12_000 / 96
    filled = b"".join(fill(heard, missing * 240, later, STEREO))
    assert largest_step(heard[-400:] + filled + later[:400], STEREO) <= (
        1.3 * own + 3 * 12_000 / 96
    )


def test_an_instant_clock_jump_is_bent_not_clicked() -> None:
    """The sound that follows a gap has nothing to do with the one before."""
    heard, later = tone(MONO, 0, 4800, 180.0), sound(MONO, 0, 480, lambda n, c: 20_000)
    own = largest_step(heard, MONO)
    for frames in (96, 240, 480, 4800):
        pcm = b"".join(fill(heard, frames, later, MONO))
        assert largest_step(heard[-2:] + pcm + later[:2], MONO) <= own + 1.6 * 32_000 / 96


def test_only_the_first_2_ms_after_a_gap_are_blended() -> None:
    block = tone(STEREO, 0, 240, 300.0)
    concealer = after(STEREO, tone(STEREO, 0, 4800, 440.0))
    assert concealer.resume(block) == block
    concealer.conceal(240)
    blended = concealer.resume(block)
    assert len(blended) == len(block)
    assert blended[96 * 4 :] == block[96 * 4 :] and blended[: 95 * 4] != block[: 95 * 4]
    assert concealer.resume(block) == block


def test_blending_spans_blocks_shorter_than_2_ms() -> None:
    history, later = tone(STEREO, 0, 4800, 440.0), tone(STEREO, 5040, 240, 440.0)
    whole, pieces = after(STEREO, history), after(STEREO, history)
    assert whole.conceal(240) == b"".join(pieces.conceal(k) for k in (1, 2, 37, 150, 50))
    parts = [later[k : k + 17 * 4] for k in range(0, len(later), 17 * 4)]
    assert whole.resume(later) == b"".join(pieces.resume(part) for part in parts)


def test_a_gap_that_opens_while_another_is_blended_does_not_click() -> None:
    history = tone(MONO, 0, 4800, 300.0)
    concealer, at = after(MONO, history), 4800
    out = history[-2:]
    for _ in range(30):  # a frame or ten of real sound between gaps
        for frames in (1, 10):
            out += concealer.conceal(48)
            at += 48
            out += concealer.resume(tone(MONO, at, frames, 300.0))
            at += frames
    assert len(out) == 2 * (1 + 30 * (48 + 1 + 48 + 10))
    assert largest_step(out, MONO) <= 1.3 * largest_step(history, MONO) + 1.5 * 12_000 / 96


def test_a_gap_inside_a_blend_follows_what_was_blended() -> None:
    """Nothing of the first gap is left by then: its sound is bent to the new one."""
    concealer = after(MONO, tone(MONO, 0, 4800, 300.0))
    concealer.conceal(4800)
    blended = concealer.resume(sound(MONO, 0, 60, lambda n, channel: 20_000))
    gap = samples(concealer.conceal(480))
    assert samples(blended)[-1] > 10_000
    assert abs(gap[0] - samples(blended)[-1]) < 500
    assert gap[48] > 1_000 and not any(gap[96:])


def test_remember_ends_a_gap_and_changes_nothing() -> None:
    concealer = after(STEREO, tone(STEREO, 0, 4800, 440.0))
    concealer.conceal(240)
    block = tone(STEREO, 0, 240, 300.0)
    concealer.remember(block)
    assert concealer.resume(block) == block


def test_a_second_gap_is_concealed_from_what_came_after_the_first() -> None:
    concealer = after(MONO, tone(MONO, 0, 4800, 440.0))
    concealer.conceal(2400)
    concealer.resume(tone(MONO, 0, 4800, 250.0))
    truth = tone(MONO, 4800, 480, 250.0)
    assert correlation(samples(concealer.conceal(480)), samples(truth)) > 0.95


def test_silence_stays_digital_silence() -> None:
    concealer = after(STEREO, bytes(4 * 4800))
    assert not any(concealer.conceal(2400))
    assert not any(concealer.resume(bytes(960)))
    assert not any(b"".join(fill(bytes(4 * 4800), 4800, bytes(960), STEREO)))
    assert not any(b"".join(fill(b"", 4800, b"", STEREO)))


@pytest.mark.parametrize("half_period", [1, 7, 24, 109, 400])
def test_full_scale_squares_do_not_wrap(half_period: int) -> None:
    def square(n: int, channel: int) -> float:
        return 32_767 if n // half_period % 2 else -32_768

    history, later = sound(MONO, 0, 4800, square), sound(MONO, 4803, 240, square)
    concealer = after(MONO, history)
    gap = concealer.conceal(240)
    # A wrapped sample would have left its half wave for one or two frames.
    edges = sum((a < 0) != (b < 0) for a, b in pairwise(samples(gap)))
    assert edges <= 240 // half_period + 4
    assert loudness(samples(gap)) > 28_000
    assert len(concealer.resume(later)) == len(later)
    filled = b"".join(fill(history, 240, later, MONO))
    assert len(filled) == 480
    if half_period >= 24:
        edges = sum((a < 0) != (b < 0) for a, b in pairwise(samples(filled)))
        assert edges <= 240 // half_period + 4


@given(
    formats,
    st.integers(0, 5000),
    st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=8),
    st.integers(0, 2**32),
)
def test_any_order_in_any_format_keeps_every_length(
    fmt: Format, heard: int, steps: list[tuple[bool, int]], seed: int
) -> None:
    noise = array("h", [(seed * k * k + 977 * k) % 65_536 - 32_768 for k in range(997)]).tobytes()

    def pcm(frames: int) -> bytes:
        size = frames * fmt.frame_bytes
        return (noise * (size // len(noise) + 1))[:size]

    first, second = after(fmt, pcm(heard)), after(fmt, pcm(heard))
    for came, frames in steps:
        out = first.resume(pcm(frames)) if came else first.conceal(frames)
        assert len(out) == frames * fmt.frame_bytes
        assert out == (second.resume(pcm(frames)) if came else second.conceal(frames))


@given(formats, st.integers(0, 3000), st.integers(0, 20_000), st.integers(0, 300))
def test_a_filled_gap_has_its_length_in_any_format(
    fmt: Format, heard: int, frames: int, later: int
) -> None:
    history, following = tone(fmt, 0, heard, 313.0), tone(fmt, heard + frames, later, 313.0)
    pieces = list(fill(history, frames, following, fmt))
    assert sum(map(len, pieces)) == frames * fmt.frame_bytes
    assert all(0 < len(piece) <= fmt.rate * fmt.frame_bytes for piece in pieces)
    assert pieces == list(fill(history, frames, following, fmt))


def test_a_long_gap_is_filled_in_pieces_of_a_second_silent_between_its_seams() -> None:
    history, later = tone(STEREO, 0, 4800, 440.0), tone(STEREO, 7, 240, 440.0)
    pieces = list(fill(history, 48_000 * 5, later, STEREO))
    assert max(map(len, pieces)) == 48_000 * 4
    whole = b"".join(pieces)
    assert len(whole) == 48_000 * 5 * 4
    assert any(whole[: 48 * 50 * 4]) and not any(whole[48 * 50 * 4 : -96 * 4])
    assert any(whole[-96 * 4 :])


def test_a_filled_gap_meets_what_follows() -> None:
    """Value and slope: the last step of the gap is the first of the sound after it."""
    history = tone(MONO, 0, 4800, 200.0)
    for jump in (0, 60, 120, 200):
        later = tone(MONO, 5040 + jump, 240, 200.0)
        values = samples(b"".join(fill(history, 240, later, MONO)) + later[:4])
        last, first = values[-2] - values[-3], values[-1] - values[-2]
        assert abs(last - first) <= 40


def test_one_frame_or_silence_may_follow() -> None:
    history = tone(MONO, 0, 4800, 200.0)
    assert abs(samples(b"".join(fill(history, 480, b"", MONO)))[-1]) <= 20
    one = tone(MONO, 50, 1, 200.0)
    assert abs(samples(b"".join(fill(history, 480, one, MONO)))[-1] - samples(one)[0]) <= 20


@pytest.mark.parametrize("heard_ms", [0, 1, 3, 8, 20, 39])
def test_the_start_of_a_stream_needs_no_full_history(heard_ms: int) -> None:
    heard = tone(MONO, 0, 48 * heard_ms, 440.0)
    gap = after(MONO, heard).conceal(2640)
    assert len(gap) == 5280 and not any(gap[-480:])
    assert largest_step(heard[-2:] + gap, MONO) <= 1.5 * 690 + 1.5 * 12_000 / 96


def test_the_history_is_bounded_and_the_last_that_was_played() -> None:
    history = History(STEREO)
    assert history.recent() == b""
    pcm = tone(STEREO, 0, 24_000, 50.0)
    for k in range(0, len(pcm), 960):
        history.remember(pcm[k : k + 960])
    assert history.recent() == pcm[-1920 * 4 :]
