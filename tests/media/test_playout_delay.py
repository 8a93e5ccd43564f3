"""What the delay is and is to be, without any sound."""

from __future__ import annotations

import pytest

from echowarp.media.format import Format
from echowarp.media.playout_delay import CUT_NS, HOLD_S, MOVE_PPM, WATCH_NS, PlayoutDelay
from echowarp.media.pull_line import PullLine

FMT = Format(rate=48_000, channels=1, block_frames=240)
MS = 1_000_000
S = 1_000 * MS
TARGET_NS = 40 * MS


def playing(*, fixed: bool = False) -> PlayoutDelay:
    delay = PlayoutDelay(FMT, target_ns=TARGET_NS, fixed=fixed, line=PullLine(FMT), now_ns=0)
    delay.begin(TARGET_NS)
    delay.moving = True
    return delay


def watch(delay: PlayoutDelay, level_ns: int, seconds: float, begin_ns: int = 0) -> int:
    """Blocks every 5 ms on one level. Returns the time after them."""
    now_ns = begin_ns
    while now_ns < begin_ns + seconds * S:
        now_ns += FMT.block_ns
        delay.observe(level_ns, now_ns)
        delay.tick(now_ns)
    return now_ns


def test_at_the_target_the_speed_is_that_of_the_clocks() -> None:
    assert playing().speed_ppm(240) == 0


def test_a_smaller_target_is_approached_by_speed_but_not_at_once() -> None:
    delay = playing()
    delay.target_ns = 20 * MS
    assert delay.speed_ppm(240) == 0
    watch(delay, TARGET_NS, HOLD_S + 0.1)
    assert delay.speed_ppm(240) == MOVE_PPM
    assert delay.known_ns == TARGET_NS - FMT.block_ns * 3 // 1000
    delay.moving = False
    assert delay.speed_ppm(240) == 0


def test_a_larger_target_is_approached_at_once() -> None:
    delay = playing()
    delay.target_ns = 60 * MS
    assert delay.speed_ppm(240) == -MOVE_PPM
    assert delay.is_short


def test_a_smaller_target_is_never_cut_to() -> None:
    delay = playing()
    delay.target_ns = 1 * MS
    watch(delay, TARGET_NS, 3)
    assert delay.cut(TARGET_NS) == 0


@pytest.mark.parametrize("more_ms", [50, 150])
def test_a_delay_that_nobody_asked_for_is_cut_within_a_second(more_ms: int) -> None:
    delay = playing()
    level_ns = TARGET_NS + more_ms * MS
    watch(delay, level_ns, 3 * WATCH_NS / S)
    assert delay.cut(level_ns) == pytest.approx(more_ms * MS, abs=MS)
    assert delay.cut(level_ns) == 0, "once"


def test_less_than_is_worth_a_seam_is_played_away() -> None:
    delay = playing()
    watch(delay, TARGET_NS + CUT_NS - MS, 8)
    assert delay.cut(TARGET_NS + CUT_NS) == 0
    assert delay.speed_ppm(240) == MOVE_PPM


def test_a_card_that_stood_still_is_known_by_what_waits() -> None:
    delay = playing()
    assert delay.cut(TARGET_NS + 10 * S) == 10 * S


@pytest.mark.parametrize(("fixed", "unwanted_ms"), [(False, 0), (True, 22.5)])
def test_waiting_is_unwanted_at_once_where_the_target_is_fixed(
    fixed: bool, unwanted_ms: float
) -> None:
    delay = playing(fixed=fixed)
    for _ in range(4):
        delay.waited(FMT.block_ns)
    assert delay.unwanted_ns == unwanted_ms * MS
    for _ in range(6):
        delay.waited(FMT.block_ns)
    assert delay.unwanted_ns >= 50 * MS
    delay.left_out(delay.unwanted_ns)
    assert delay.unwanted_ns == 0
