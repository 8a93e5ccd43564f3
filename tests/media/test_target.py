from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.target import (
    AUTO,
    BIN_NS,
    CEILING_NS,
    LOW,
    ROBUST,
    START_NS,
    Cause,
    Policy,
    TargetDelay,
    Way,
)

MS = 1_000_000
S = 1_000 * MS
LAG = 123_456 * MS
"""Lags are relative to any line: the target must not care which."""


class Feed:
    """Blocks of 5 ms that become usable with given delays above the fastest path."""

    def __init__(self, policy: Policy | int, period_ms: int = 0) -> None:
        self.now_ns = 0
        self.target = TargetDelay(policy, period_ns=period_ms * MS, now_ns=0)

    def steady(self, seconds: float, delay_ms: float = 0) -> None:
        for _ in range(round(seconds * 100)):
            self.one(0)
            self.one(delay_ms)

    def one(self, delay_ms: float, way: Way = Way.RECEIVED) -> int:
        self.now_ns += 5 * MS
        return self.target.usable(LAG + int(delay_ms * MS), self.now_ns, way)


def test_it_starts_with_the_start_and_says_so() -> None:
    target = Feed(AUTO).target
    assert target.target_ns == START_NS
    assert target.reason.cause is Cause.START
    assert target.needed_ns == 0, "nothing is known of that yet"
    assert target.fastest_ns is None


def test_availability_is_measured_against_the_fastest_path() -> None:
    feed = Feed(AUTO)
    assert feed.one(30) == 0
    assert feed.one(10) == 0
    assert feed.one(25) == 15 * MS
    assert feed.target.fastest_ns == LAG + 10 * MS


@pytest.mark.parametrize(("policy", "expected_ms"), [(LOW, 21.0), (AUTO, 25.0), (ROBUST, 28.0)])
def test_each_policy_has_its_factor_and_margin(policy: Policy, expected_ms: float) -> None:
    feed = Feed(policy)
    feed.steady(3, 20)
    assert feed.target.target_ns == int(expected_ms * MS)
    assert feed.target.reason.cause is Cause.JITTER
    assert feed.target.reason.worst_ns == 20 * MS


@pytest.mark.parametrize(("policy", "grows"), [(LOW, False), (AUTO, False), (ROBUST, True)])
def test_a_single_late_block_counts_at_once_where_the_rank_is_one(
    policy: Policy, grows: bool
) -> None:
    feed = Feed(policy)
    feed.steady(3, 10)
    before_ns = feed.target.target_ns
    feed.one(60)
    assert (feed.target.target_ns > before_ns) is grows
    feed.steady(0.3, 10)
    feed.one(60)
    assert feed.target.target_ns > 60 * MS


@pytest.mark.parametrize(("policy", "seconds"), [(LOW, 10), (AUTO, 30), (ROBUST, 60)])
def test_a_bad_time_is_forgotten_after_the_window(policy: Policy, seconds: int) -> None:
    feed = Feed(policy)
    feed.steady(1, 50)
    feed.steady(seconds - 2, 5)
    assert feed.target.target_ns > 50 * MS
    feed.steady(3, 5)
    assert feed.target.target_ns < 10 * MS


def test_losses_earn_a_margin_and_name_the_cause() -> None:
    feed = Feed(AUTO)
    for _ in range(4):
        feed.steady(0.3, 4)
        feed.one(20, Way.RESENT)
    assert feed.target.target_ns == 35 * MS
    assert feed.target.reason.cause.name == "RESENDS"
    for _ in range(4):
        feed.steady(0.3, 4)
        feed.one(30, Way.REPAIRED)
    assert feed.target.reason.cause.name == "REPAIR"


def test_a_row_that_overtakes_its_block_is_no_loss() -> None:
    feed = Feed(AUTO)
    feed.steady(1, 1)
    feed.one(1.5, Way.REPAIRED)
    feed.steady(1, 1)
    assert feed.target.target_ns < 4 * MS


def test_the_floor_is_the_period_and_two_ms() -> None:
    feed = Feed(AUTO, period_ms=5)
    feed.steady(1, 0)
    assert feed.target.target_ns == 7 * MS
    assert feed.target.reason.cause is Cause.FLOOR


def test_the_ceiling() -> None:
    feed = Feed(AUTO)
    feed.steady(1, 5_000)
    assert feed.target.target_ns == CEILING_NS
    assert feed.target.reason.cause is Cause.CEILING


def test_a_fixed_target_stays_and_tells_what_would_do() -> None:
    feed = Feed(15 * MS)
    feed.steady(3, 40)
    assert feed.target.target_ns == 15 * MS
    assert feed.target.needed_ns == 48 * MS
    assert feed.target.reason.cause is Cause.FIXED
    assert feed.target.reason.target_ns == 15 * MS


def test_a_longer_path_becomes_the_fastest_after_ten_seconds() -> None:
    feed = Feed(LOW)
    feed.steady(5, 1)
    for _ in range(200 * 9):
        feed.one(40)
    assert feed.target.target_ns == 41 * MS
    for _ in range(200 * 13):
        feed.one(40)
    assert feed.target.target_ns == 2 * MS


@given(st.lists(st.tuples(st.integers(-S, S), st.integers(0, 20 * S), st.sampled_from(list(Way)))))
def test_any_lags_keep_it_within_floor_and_ceiling(steps: list[tuple[int, int, Way]]) -> None:
    target = TargetDelay(AUTO, period_ns=3 * MS, now_ns=0)
    now = 0
    for lag, later, way in steps:
        now += later
        assert target.usable(lag, now, way) >= 0
        assert 5 * MS <= target.target_ns <= CEILING_NS
        assert len(target._worst) <= 121


def test_the_fastest_path_agrees_with_a_slow_minimum() -> None:
    rng = random.Random(3)
    target = TargetDelay(AUTO, period_ns=0, now_ns=0)
    seen: list[tuple[int, int]] = []
    for k in range(3000):
        now, lag = k * 25 * MS, rng.randrange(S)
        target.usable(lag, now)
        seen.append((now, lag))
        assert target.fastest_ns == min(each for at, each in seen if at > now - 10 * S)


@pytest.mark.parametrize("policy", [LOW, AUTO, ROBUST], ids=["low", "auto", "robust"])
def test_what_counts_agrees_with_sorting_all_that_was_seen(policy: Policy) -> None:
    rng = random.Random(4)
    target = TargetDelay(policy, period_ns=0, now_ns=0)
    target.usable(0, 0)
    bins = [0]
    windows = policy.window_ns // BIN_NS
    for k in range(1, 8 * 400):
        now, late = k * BIN_NS // 8, int(rng.expovariate(1 / (5 * MS)))
        if k % 8 == 0:
            bins.append(0)
        bins[-1] = max(bins[-1], late)
        # The fastest path stays what it is.
        target.usable(0, now)
        target.usable(late, now)
        ranked = sorted(bins[-windows:], reverse=True)
        assert target.reason.worst_ns >= ranked[: policy.rank][-1]
        # The oldest count until the next bin is over.
        over = sorted(bins[-windows - 3 :], reverse=True)
        if len(bins) > policy.rank + 1:
            assert target.reason.worst_ns <= over[: policy.rank][-1]
