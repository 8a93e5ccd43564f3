"""Arrivals against a slow model that keeps everything it was ever told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.arrivals import Arrivals, Counters, NotedArrivals
from echowarp.media.format import Format

MS = 1_000_000


def test_counts_each_fate_once() -> None:
    arrivals = Arrivals(100, 10, Counters())
    assert arrivals.put(100, 0, b"a")
    assert arrivals.put(102, 2, b"c")
    assert arrivals.put(101, 1, b"b")
    assert not arrivals.put(102, 2, b"c")
    arrivals.take()
    assert not arrivals.put(100, 0, b"a")
    arrivals.take()
    arrivals.take()
    arrivals.miss()
    assert not arrivals.put(103, 3, b"d")
    arrivals.miss()
    arrivals.finish()
    assert arrivals.counters == Counters(
        received=3, late=1, lost=1, duplicate=2, reordered=1, concealed=2
    )


def test_a_missed_turn_is_forgotten_after_its_time_and_then_lost() -> None:
    arrivals = Arrivals(0, 10, Counters())
    for _ in range(11):
        arrivals.miss()
    assert arrivals.counters.lost == 0
    for _ in range(5):
        arrivals.miss()
    assert arrivals.counters.lost == 5
    arrivals.put(0, 0, b"")
    assert arrivals.counters.duplicate == 1, "not late: it was counted as lost"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), max_size=120))
def test_every_block_has_exactly_one_fate(steps: list[tuple[int, int]]) -> None:
    arrivals = Arrivals(0, 1000, Counters())
    seen: set[int] = set()
    puts = taken = 0
    for seq, action in steps:
        if action == 0:
            puts += 1
            seen.add(seq)
            arrivals.put(seq, seq * 240, bytes([seq]))
        elif (due := arrivals.peek()) is not None:
            assert due == (arrivals.next_seq * 240, bytes([arrivals.next_seq]))
            arrivals.take()
            taken += 1
        else:
            arrivals.miss()
    arrivals.finish()
    c = arrivals.counters
    assert c.received + c.late == len(seen)
    assert c.received == taken + len(arrivals)
    assert c.received + c.late + c.duplicate == puts
    assert c.late + c.lost == c.concealed


def test_the_fastest_of_the_noted_arrivals_counts() -> None:
    noted = NotedArrivals(Format(rate=8_000, channels=1, block_frames=40))
    assert noted.fastest_ns(0) is None
    for time_ms, late_ms in ((0, 7), (5, 3), (10, 9)):
        noted.note(8 * time_ms, (time_ms + late_ms) * MS)
    assert noted.fastest_ns(0) == 3 * MS
    assert noted.fastest_ns(800) == 103 * MS
    assert list(noted)[-1] == (80, 19 * MS)
    noted.clear()
    assert noted.fastest_ns(0) is None
