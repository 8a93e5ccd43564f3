from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.session.reports import LONG_NS, LossEstimate, ReceiptCounter, Tally
from echowarp.wire.feedback import Report

MS = 1_000_000
S = 1_000 * MS
GUARD = 10 * MS


def tally_of(numbers: list[int]) -> Tally | None:
    counter = ReceiptCounter()
    for number in numbers:
        counter.accepted(number, 0)
    return counter.tally(GUARD, GUARD)


def test_counts_what_came_and_the_runs_that_lack() -> None:
    assert ReceiptCounter().tally(S, GUARD) is None
    assert tally_of([0, 1, 2]) == Tally(2, 3, 0)
    assert tally_of([0, 2, 5, 6]) == Tally(6, 4, 2)
    assert tally_of([3]) == Tally(3, 1, 1)


def test_only_what_was_seen_a_guard_ago_is_judged() -> None:
    counter = ReceiptCounter()
    counter.accepted(0, 0)
    counter.accepted(2, 5 * MS)
    assert counter.tally(9 * MS, GUARD) is None
    assert counter.tally(10 * MS, GUARD) == Tally(0, 1, 0)
    counter.accepted(1, 14 * MS)
    assert counter.tally(15 * MS, GUARD) == Tally(2, 3, 0)


def test_what_comes_after_all_is_not_lost() -> None:
    counter = ReceiptCounter()
    for number in (0, 5):
        counter.accepted(number, 0)
    assert counter.tally(S, GUARD) == Tally(5, 2, 1)
    counter.accepted(3, S)
    assert counter.tally(S, GUARD) == Tally(5, 3, 2)
    counter.accepted(4, S)
    assert counter.tally(S, GUARD) == Tally(5, 4, 1)
    counter.accepted(1, S)
    counter.accepted(2, S)
    assert counter.tally(S, GUARD) == Tally(5, 6, 0)


def test_a_jump_of_a_million_numbers_is_quick_and_small() -> None:
    counter = ReceiptCounter()
    counter.accepted(0, 0)
    for turn in range(1, 50):
        counter.accepted(turn << 40, turn * 200 * MS)
        counter.tally(turn * 200 * MS + GUARD, GUARD)
    assert counter.tally(60 * S, GUARD) == Tally(49 << 40, 50, 49)
    assert len(counter._missing) <= 1024


@given(st.lists(st.integers(0, 80), unique=True, min_size=1), st.integers(0, 80))
def test_agrees_with_a_slow_count(numbers: list[int], cut: int) -> None:
    counter = ReceiptCounter()
    for number in numbers[:cut]:
        counter.accepted(number, 0)
    counter.tally(S, GUARD)
    for number in numbers[cut:]:
        counter.accepted(number, S)
    highest = max(numbers)
    lacking = [n for n in range(highest) if n not in numbers]
    runs = sum(n - 1 not in lacking for n in lacking)
    assert counter.tally(3 * S, GUARD) == Tally(highest, len(numbers), runs)


def report(highest: int, received: int, bursts: int = 0) -> Report:
    return Report(highest % 2**32, received % 2**32, bursts % 2**32, 10 * MS, ())


def test_loss_over_a_window() -> None:
    estimate = LossEstimate()
    for turn in range(1, 301):
        sent = 40 * turn
        lost = max(0, sent - 6000) // 10
        now = turn * 200 * MS
        assert estimate.receive(
            report(sent - 1, sent - lost, lost // 2), last_number=sent + 3, now_ns=now
        )
    assert estimate.over(5 * S, 60 * S).loss == pytest.approx(0.1)
    assert estimate.over(30 * S, 60 * S).loss == pytest.approx(0.1)
    assert estimate.over(30 * S, 60 * S).mean_burst == pytest.approx(2, abs=0.05)
    assert estimate.over(5 * S, 60 * S).sure_loss < 0.09


def test_nothing_is_known_before_the_first_report_or_from_few_numbers() -> None:
    estimate = LossEstimate()
    assert estimate.over(5 * S, 0).loss == 0
    estimate.receive(report(9, 1), last_number=9, now_ns=0)
    assert estimate.over(5 * S, 0).loss == 0


@pytest.mark.parametrize("bad", [report(101, 50), report(2**31, 1), report(39, 40)])
def test_reports_of_what_was_never_sent_or_of_the_past_are_dropped(bad: Report) -> None:
    estimate = LossEstimate()
    assert estimate.receive(report(50, 51), last_number=100, now_ns=0)
    assert not estimate.receive(bad, last_number=100, now_ns=S)
    assert estimate.over(5 * S, S) == (51, 0, 0)


def test_reports_that_come_too_fast_are_dropped() -> None:
    estimate = LossEstimate()
    taken = sum(
        estimate.receive(report(now, now), last_number=now, now_ns=now * MS) for now in range(1000)
    )
    assert taken == 10


def test_counters_that_wrap_are_followed() -> None:
    estimate = LossEstimate()
    start = 2**32 - 100
    estimate.receive(report(start, start - 5, 5), last_number=start, now_ns=0)
    estimate.receive(report(start + 199, start + 184, 15), last_number=start + 200, now_ns=6 * S)
    assert estimate.over(5 * S, 6 * S) == (199, 10, 10)


U32 = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(U32, U32, U32, st.integers(0, 40 * S)), max_size=40))
def test_lies_stay_between_nothing_and_all(lies: list[tuple[int, int, int, int]]) -> None:
    estimate = LossEstimate()
    rng = random.Random(1)
    now = last = 0
    for highest, received, bursts, later in lies:
        now += later
        last += rng.randrange(1 << 30)
        estimate.receive(Report(highest, received, bursts, 0, ()), last_number=last, now_ns=now)
        for window in (2 * S, 5 * S, LONG_NS):
            seen = estimate.over(window, now)
            assert 0 <= seen.bursts <= seen.missing <= seen.numbers <= last + 1
            assert 0 <= seen.sure_loss <= seen.loss <= 1
            assert seen.mean_burst >= 1
        assert len(estimate._tallies) <= 302
