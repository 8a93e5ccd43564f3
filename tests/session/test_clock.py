from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.session.clock import ClockExchange
from echowarp.wire.feedback import ClockAnswer

MS = 1_000_000
S = 1_000 * MS
START = 1_000 * S
OFFSET = 7 * S


def exchange(
    clock: ClockExchange, *, there_ns: int, back_ns: int, offset_ns: int = OFFSET, held_ns: int = 0
) -> int:
    """Asks when it is due and answers; returns when the answer came."""
    at = clock.timeout_ns()
    ask = clock.handle_timeout(at)
    assert ask is not None and ask.t1_ns == at
    t2 = at + there_ns + offset_ns
    came = at + there_ns + held_ns + back_ns
    clock.receive(ClockAnswer(at, t2, t2 + held_ns), came)
    return came


def test_asks_five_times_quickly_and_then_each_second() -> None:
    clock = ClockExchange(START)
    times = range(START, START + 4 * S, 10 * MS)
    asked = [(now - START) // MS for now in times if clock.handle_timeout(now) is not None]
    assert asked == [0, 100, 200, 300, 400, 1400, 2400, 3400]


def test_a_symmetric_path_gives_the_exact_offset() -> None:
    clock = ClockExchange(START)
    assert clock.offset_ns is None
    exchange(clock, there_ns=10 * MS, back_ns=10 * MS, held_ns=3 * MS)
    assert clock.offset_ns == OFFSET
    assert clock.srtt_ns == 20 * MS
    assert clock.rto_ns == 60 * MS


def test_the_least_round_trip_of_ten_seconds_counts() -> None:
    clock = ClockExchange(START)
    exchange(clock, there_ns=1 * MS, back_ns=1 * MS)
    best_for_ns = 0
    for _ in range(20):
        came = exchange(clock, there_ns=30 * MS, back_ns=2 * MS)
        if clock.offset_ns == OFFSET:
            best_for_ns = came - START
    assert 9 * S < best_for_ns < 11 * S
    assert clock.offset_ns == OFFSET + 14 * MS


def test_rto_is_at_least_ten_ms_and_follows_the_variation() -> None:
    clock = ClockExchange(START)
    for _ in range(40):
        exchange(clock, there_ns=MS, back_ns=0)
    assert clock.rto_ns == 10 * MS
    for turn in range(40):
        exchange(clock, there_ns=20 * MS + turn % 2 * 40 * MS, back_ns=0)
    assert clock.srtt_ns is not None
    assert 35 * MS < clock.srtt_ns < 45 * MS
    # Half of the answers come 20 ms sooner, half 20 ms later.
    assert clock.rto_ns == pytest.approx(clock.srtt_ns + 4 * 20 * MS, abs=8 * MS)


@pytest.mark.parametrize(
    "answer",
    [
        (0, -1, 0),
        (0, 1 << 63, 1 << 63),
        (0, 2, 1),
        (0, 0, 6 * MS),
        (1, 0, 0),
        ((1 << 64) - 1, 0, 0),
    ],
)
def test_absurd_answers_are_dropped(answer: tuple[int, int, int]) -> None:
    clock = ClockExchange(START)
    clock.handle_timeout(START)
    clock.receive(ClockAnswer(START + answer[0], answer[1], answer[2]), START + 5 * MS)
    assert clock.offset_ns is None and clock.srtt_ns is None


def test_a_round_trip_over_two_seconds_and_a_second_answer_are_dropped() -> None:
    clock = ClockExchange(START)
    clock.handle_timeout(START)
    clock.receive(ClockAnswer(START, 5, 5), START + 2 * S + 1)
    assert clock.srtt_ns is None
    clock.receive(ClockAnswer(START, 5, 5), START + MS)
    clock.receive(ClockAnswer(START, 5, 5), START + 9 * MS)
    assert clock.srtt_ns == MS


@pytest.mark.parametrize("jump", [-86_400 * S, -60 * S, 60 * S, 86_400 * S])
def test_a_clock_that_jumps_is_followed_at_once(jump: int) -> None:
    clock = ClockExchange(START)
    for _ in range(10):
        exchange(clock, there_ns=MS, back_ns=MS, offset_ns=100_000 * S)
    exchange(clock, there_ns=5 * MS, back_ns=5 * MS, offset_ns=100_000 * S + jump)
    assert clock.offset_ns == 100_000 * S + jump


def test_drifting_clocks_are_no_jump() -> None:
    clock = ClockExchange(START)
    for _ in range(30):
        now = clock.timeout_ns()
        exchange(clock, there_ns=MS, back_ns=MS, offset_ns=OFFSET + (now - START) // 1000)
        assert len(clock._samples) >= 1
    assert len(clock._samples) >= 9


def test_after_sleep_it_asks_quickly_again() -> None:
    clock = ClockExchange(START)
    for _ in range(10):
        exchange(clock, there_ns=MS, back_ns=MS)
    woke = clock.timeout_ns() + 60 * S
    assert clock.handle_timeout(woke) is not None
    assert clock.timeout_ns() == woke + 100 * MS


def test_unanswered_asks_are_forgotten() -> None:
    clock = ClockExchange(START)
    for _ in range(1000):
        clock.handle_timeout(clock.timeout_ns())
    assert len(clock._asked) <= 4


@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 3 * S)),
        max_size=40,
    )
)
def test_whatever_is_answered_the_figures_stay_sane(answers: list[tuple[int, int, int]]) -> None:
    clock = ClockExchange(START)
    for t2, t3, later in answers:
        at = clock.timeout_ns()
        clock.handle_timeout(at)
        clock.receive(ClockAnswer(at, t2, t3), at + later)
        assert 10 * MS <= clock.rto_ns <= 12 * S
        if clock.offset_ns is not None:
            assert abs(clock.offset_ns) <= 1 << 62
