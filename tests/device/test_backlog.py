from __future__ import annotations

from echowarp.device.backlog import Backlog, Pace

MS = 1_000_000


class Card:
    """Feeds blocks of 5 ms at 48 kHz; keeps what was judged."""

    def __init__(self) -> None:
        self.backlog = Backlog(48000)
        self.now_ns = 0

    def even(self, blocks: int, period_ns: int = 5 * MS) -> list[int | None]:
        return [self.block(period_ns) for _ in range(blocks)]

    def burst(self, blocks: int) -> list[int | None]:
        return [self.block(MS // 10) for _ in range(blocks)]

    def block(self, after_ns: int, overflow: bool = False) -> int | None:
        self.now_ns += after_ns
        return self.backlog.judge(240, self.now_ns, overflow)

    def settle(self) -> None:
        self.even(30)


def test_what_piled_up_before_the_start_is_thrown_away() -> None:
    card = Card()
    assert card.burst(80) == [None] * 80  # 400 ms of sound at once
    judged = card.even(40)
    first = judged.index(0)
    assert first <= 20  # 100 ms
    assert judged[:first] == [None] * first
    assert judged[first:] == [0] * (40 - first)


def test_a_burst_that_lasts_longer_than_the_settling_time() -> None:
    card = Card()
    assert [card.block(MS) for _ in range(200)] == [None] * 200
    assert card.even(3) == [0, 0, 0]


def test_a_device_that_never_calls_evenly_is_taken_as_it_is_after_a_second() -> None:
    card = Card()
    judged = [card.block(MS) for _ in range(1100)]
    assert judged[-1] == 0


def test_pairs_of_blocks_are_no_backlog() -> None:
    card = Card()
    card.settle()
    for _ in range(1000):
        assert card.block(10 * MS) == 0
        assert card.block(0) == 0


def test_clock_drift_is_no_backlog() -> None:
    card = Card()
    card.settle()
    slow_ns = 5 * MS + 5 * MS * 900 // 1_000_000  # 900 ppm, for 20 minutes
    assert set(card.even(240_000, slow_ns)) == {0}


def test_a_short_stall_loses_nothing() -> None:
    card = Card()
    card.settle()
    assert card.block(300 * MS) == 0
    assert card.burst(59) == [0] * 59
    assert card.even(10) == [0] * 10


def test_the_burst_after_a_long_stall_is_thrown_away_until_it_is_fresh() -> None:
    card = Card()
    card.settle()
    judged = [card.block(2005 * MS), *card.burst(400), *card.even(100)]
    thrown = judged.count(None)
    assert 290 < thrown < 310  # of 400 blocks, the last half second is of use
    kept = [lost for lost in judged if lost is not None]
    assert kept[0] == thrown * 240
    assert set(kept[1:]) == {0}


def test_time_that_was_missed_is_counted() -> None:
    card = Card()
    card.settle()
    assert card.block(2000 * MS) is None  # could be the first of a burst
    lost = card.block(5 * MS)  # it was not: the card just went on
    assert lost is not None
    # 2 s passed, and 5 ms of them came as the block thrown away.
    assert abs(lost - 2 * 48000) <= 240
    assert card.even(100) == [0] * 100


def test_an_overflow_counts_what_it_lost() -> None:
    card = Card()
    card.settle()
    assert card.block(105 * MS, overflow=True) is None
    lost = card.block(5 * MS)
    assert lost is not None
    assert abs(lost - 0.105 * 48000) <= 240
    assert card.even(100) == [0] * 100


def test_an_overflow_that_lost_nothing_to_speak_of() -> None:
    card = Card()
    card.settle()
    assert card.block(6 * MS, overflow=True) == 0
    assert card.even(100) == [0] * 100


def test_pace_settles_when_the_first_burst_is_over() -> None:
    pace = Pace(48000)
    for now_ns in (0, 0, MS):
        pace.called(240, now_ns)
        assert not pace.settled
    pace.called(240, 1800 * MS)  # a sound server that first finishes its long buffer
    assert pace.settled
    assert not pace.in_burst
