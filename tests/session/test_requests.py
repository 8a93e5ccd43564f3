from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from echowarp.session.requests import MAX_OVERDUE_BLOCKS, RING_NS, RequestTimers
from echowarp.wire.feedback import Request

MS = 1_000_000
S = 1_000 * MS
BLOCK = 5 * MS
RTO = 10 * MS


def timers(first: int = 0) -> RequestTimers:
    made = RequestTimers(next_seq=first, block_ns=BLOCK)
    made.set_round_trip(srtt_ns=8 * MS, rto_ns=RTO)
    return made


def run(made: RequestTimers, until_ns: int) -> list[tuple[float, Request]]:
    """Every request that leaves until then, with its time in ms."""
    sent: list[tuple[float, Request]] = []
    while (at := made.timeout_ns()) is not None and at <= until_ns:
        sent += [(at / MS, request) for request in made.handle_timeout(at)]
    return sent


def test_a_gap_is_asked_for_after_the_guard_and_each_rto() -> None:
    made = timers(100)
    made.arrived(100, 0)
    made.pause()
    made.arrived(103, 15 * MS)
    made.pause()
    made.set_playout(101, 70 * MS)
    assert run(made, S) == [(at, Request(101, 0b11)) for at in (17.0, 27.0, 37.0, 47.0, 57.0)], (
        "once and four times again"
    )
    assert made.timeout_ns() is None


def test_a_block_that_is_only_late_is_not_asked_for() -> None:
    made = timers()
    made.arrived(0, 0)
    made.arrived(2, 10 * MS)
    made.arrived(1, 11 * MS)
    made.pause()
    assert run(made, S) == []


def test_what_is_repaired_or_resent_is_not_asked_for_again() -> None:
    made = timers()
    made.arrived(0, 0)
    made.arrived(3, 15 * MS)
    made.pause()
    assert run(made, 20 * MS) == [(17.0, Request(1, 0b11))]
    made.repaired(1)
    made.arrived(2, 21 * MS, resent=True)
    assert run(made, S) == []
    assert made.guard_ns == 2 * MS, "a resend says nothing about reordering"


def test_the_last_blocks_are_missed_when_one_block_time_overdue() -> None:
    made = timers()
    made.arrived(0, 0)
    assert made.timeout_ns() == 10 * MS
    sent = run(made, 17 * MS)
    assert sent == [(12.0, Request(1, 1)), (17.0, Request(2, 1))]


def test_an_outage_is_not_asked_about_for_ever() -> None:
    made = timers()
    made.arrived(0, 0)
    sent = run(made, 60 * S)
    asked = {request.seq + k for _, request in sent for k in request.offsets()}
    assert asked == set(range(1, MAX_OVERDUE_BLOCKS + 1))
    assert max(at for at, _ in sent) <= 2 * 1000
    assert made.timeout_ns() is None


def test_nothing_is_asked_for_that_would_come_too_late() -> None:
    made = timers()
    made.arrived(0, 0)
    made.pause()
    made.arrived(3, 15 * MS)
    made.pause()
    # Block 1 at 25 ms, block 2 at 30: with 8 ms for the way only block 2 can come twice.
    made.set_playout(0, 20 * MS + 1)
    assert run(made, S) == [(17.0, Request(1, 0b11))]
    made = timers()
    made.arrived(0, 0)
    made.arrived(3, 15 * MS)
    made.pause()
    made.set_playout(0, 10 * MS)
    assert run(made, S) == []


def test_what_is_over_is_not_asked_for_whoever_sets_the_pace() -> None:
    made = timers()
    made.arrived(0, 0)
    made.arrived(4, 20 * MS)
    made.pause()
    made.set_playout(3, None)
    assert run(made, 25 * MS) == [(22.0, Request(3, 1))]
    made.set_playout(4, None)
    assert run(made, S) == []
    assert made.timeout_ns() is None


def test_playout_that_grows_makes_room_for_repeats() -> None:
    made = timers()
    made.arrived(0, 0)
    made.arrived(2, 10 * MS)
    made.pause()
    made.set_playout(1, 65 * MS)
    assert len(run(made, S)) == 5


def test_a_network_that_stands_still_is_asked_less_and_less_often() -> None:
    made = timers()
    made.arrived(0, 0)
    made.arrived(2, 10 * MS)
    made.pause()
    made.set_playout(1, 3 * S)
    asked_ms = [at for at, _ in run(made, 3 * S)]
    apart = [b - a for a, b in pairwise(asked_ms)]
    assert apart[:4] == [RTO / MS] * 4
    assert apart[4:] == [RTO / MS * 2**n for n in range(1, len(apart) - 3)]
    assert RING_NS / 2 < asked_ms[-1] * MS <= RING_NS + RTO
    assert made.timeout_ns() is None


def test_the_guard_grows_with_reordering() -> None:
    made = timers()
    now = 0
    for pair in range(0, 2000, 2):
        now += 10 * MS
        made.arrived(pair + 1, now)
        made.arrived(pair, now + 8 * MS)
    assert made.guard_ns == 8.5 * MS


def test_requests_wrap_and_split() -> None:
    made = timers(2**32 - 2)
    made.arrived(2**32 - 2, 0)
    made.arrived(2**32 + 100, BLOCK)
    made.pause()
    requests = made.handle_timeout(7 * MS)
    assert [request.seq for request in requests] == [2**32 - 1, 63]
    assert sum(len(list(request.offsets())) for request in requests) == 101


@given(st.lists(st.tuples(st.integers(0, 2**33), st.integers(0, 2 * S)), max_size=60))
def test_wild_sequence_numbers_stay_bounded(steps: list[tuple[int, int]]) -> None:
    made = timers()
    now = 0
    for seq, later in steps:
        now += later
        made.arrived(seq, now)
        asked = sum(len(list(r.offsets())) for r in made.handle_timeout(now))
        assert asked <= 200 + MAX_OVERDUE_BLOCKS
        assert len(made._noticed) <= 2 * (200 + MAX_OVERDUE_BLOCKS)
        assert len(made._timers) <= len(made._noticed) + 200
        assert 2 * MS <= made.guard_ns <= 30 * MS
