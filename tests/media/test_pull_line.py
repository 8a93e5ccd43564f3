"""The line on which frames leave, through calls that are not even."""

from __future__ import annotations

import random

import pytest

from echowarp.media.format import Format
from echowarp.media.pull_line import EARLY_WINDOW_NS, ConvertedLine, PullLine

FMT = Format(rate=48_000, channels=2, block_frames=240)
MS = 1_000_000
S = 1_000 * MS
PERIOD_NS = 5 * MS


def pulled(line: PullLine, times_ns: list[float], frames: int = 240) -> None:
    for now_ns in times_ns:
        line.called(round(now_ns))
        line.pulled(frames, round(now_ns))


def test_the_first_call_begins_the_line() -> None:
    line = PullLine(FMT)
    line.called(7 * S)
    assert line.leaves_ns(0) == 7 * S
    assert line.leaves_ns(48_000) == 8 * S
    assert line.frames == 0


def test_even_calls_lie_on_the_line() -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS for k in range(1000)])
    assert line.frames == 240_000
    assert line.leaves_ns(line.frames) == S + 1000 * PERIOD_NS
    assert line.early_ns == 0


def test_uneven_calls_hardly_move_it() -> None:
    rng = random.Random(1)
    line = PullLine(FMT)
    times = [S + k * PERIOD_NS + rng.uniform(-2, 2) * MS for k in range(400)]
    pulled(line, times)
    for k in range(400, 2000):
        pulled(line, [S + k * PERIOD_NS + rng.uniform(-2, 2) * MS])
        assert abs(line.leaves_ns(k * 240) - (S + k * PERIOD_NS)) < 0.5 * MS


def test_bursts_are_early_by_what_they_ask_for_before_its_time() -> None:
    """A sound server that takes four periods at once, every 20 ms."""
    line = PullLine(FMT)
    pulled(line, [S + k // 4 * 4 * PERIOD_NS for k in range(1000)])
    assert line.early_ns == pytest.approx(1.5 * PERIOD_NS, abs=0.3 * MS)


def test_what_was_early_is_forgotten_after_two_windows() -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS for k in range(1000)])
    pulled(line, [S + 1000 * PERIOD_NS - 3 * MS])
    window = EARLY_WINDOW_NS // PERIOD_NS
    assert line.early_ns == pytest.approx(3 * MS, abs=0.1 * MS)
    pulled(line, [S + k * PERIOD_NS for k in range(1001, 1000 + window)])
    assert line.early_ns > 2.5 * MS
    pulled(line, [S + k * PERIOD_NS for k in range(1000 + window, 1000 + 2 * window + 2)])
    assert line.early_ns < 0.1 * MS


@pytest.mark.parametrize("ppm", [-1000, 1000])
def test_a_card_of_another_speed_is_followed(ppm: int) -> None:
    step_ns = PERIOD_NS / (1 + ppm / 1e6)
    line = PullLine(FMT)
    pulled(line, [S + k * step_ns for k in range(4000)])
    assert abs(line.leaves_ns(line.frames) - (S + 4000 * step_ns)) < 0.4 * MS


@pytest.mark.parametrize("gap_ns", [600 * MS, 10 * S, 60 * S])
def test_a_card_that_stood_still_begins_a_new_line(gap_ns: int) -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS for k in range(100)])
    again_ns = S + 100 * PERIOD_NS + gap_ns
    pulled(line, [again_ns])
    assert line.leaves_ns(line.frames) == again_ns + PERIOD_NS


@pytest.mark.parametrize("gap_ms", [30, 100, 400])
def test_a_card_that_stood_still_shortly_is_followed_within_a_quarter_of_a_second(
    gap_ms: int,
) -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS for k in range(100)])
    again_ns = S + 100 * PERIOD_NS + gap_ms * MS
    pulled(line, [again_ns + k * PERIOD_NS for k in range(50)])
    assert line.leaves_ns(line.frames) == pytest.approx(again_ns + 50 * PERIOD_NS, abs=0.1 * MS)
    assert line.early_ns == 0


def test_a_card_that_catches_up_is_not_followed() -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS for k in range(100)])
    again_ns = S + 130 * PERIOD_NS
    pulled(line, [float(again_ns + max(0, k) * PERIOD_NS) for k in range(-30, 100)])
    assert abs(line.leaves_ns(line.frames) - (again_ns + 100 * PERIOD_NS)) < 10 * MS


def test_converted_frames_leave_where_they_become_those_of_the_line() -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS for k in range(10)])
    own = ConvertedLine(line, rate=8_000, line_rate=48_000)
    own.called(S + 10 * PERIOD_NS)
    assert own.leaves_ns(0) == line.leaves_ns(2_400) == S + 50 * MS
    assert own.leaves_ns(8_000) == S + 1_050 * MS
    # 12 frames more than the line's: they are held by what converts them.
    own.pulled(40 + 12)
    pulled(line, [S + 10 * PERIOD_NS])
    assert own.leaves_ns(own.frames) == line.leaves_ns(line.frames) + round(12 / 8_000 * S)


def test_what_passes_without_a_converted_frame_puts_the_next_ones_off() -> None:
    line = PullLine(FMT)
    own = ConvertedLine(line, rate=44_100, line_rate=48_000)
    pulled(line, [S + k * PERIOD_NS for k in range(200)])
    own.passed(48_000)
    assert own.frames == 0
    assert own.leaves_ns(0) == 2 * S
    assert own.leaves_ns(44_100) == 3 * S


def test_a_converted_line_is_as_uneven_as_the_line() -> None:
    line = PullLine(FMT)
    pulled(line, [S + k * PERIOD_NS - (k % 7 == 0) * 2 * MS for k in range(1, 500)])
    assert ConvertedLine(line, rate=8_000, line_rate=48_000).early_ns == line.early_ns > MS
