from __future__ import annotations

import pytest

from echowarp.session.rate_policy import RatePolicy, RepairRate, rate_for, rounds_that_fit
from echowarp.session.reports import LossEstimate
from echowarp.wire.feedback import Report

MS = 1_000_000
S = 1_000 * MS
NONE, EIGHTH, QUARTER, HALF, FULL = RepairRate


class Listener:
    """A listener whose loss is what the test says, reported each 200 ms."""

    def __init__(self, *, target_ms: int = 30, rto_ms: int = 100) -> None:
        self.policy = RatePolicy(0)
        self.target_ms, self.rto_ms = target_ms, rto_ms
        self._estimate = LossEstimate()
        self._now_ns = 0
        self._sent = 0
        self._lost = 0.0
        self._bursts = 0.0

    def lose(self, share: float, seconds: float, burst: float = 1.0) -> RepairRate:
        for _ in range(round(seconds * 5)):
            self._now_ns += 200 * MS
            self._sent += 50
            self._lost += 50 * share
            self._bursts += 50 * share / burst
            received = self._sent - int(self._lost)
            report = Report(self._sent - 1, received, int(self._bursts), self.rto_ms * MS, ())
            assert self._estimate.receive(report, last_number=self._sent, now_ns=self._now_ns)
            self.policy.report(
                self._estimate,
                target_ns=self.target_ms * MS,
                guard_ns=2 * MS,
                rto_ns=self.rto_ms * MS,
                now_ns=self._now_ns,
            )
        return self.policy.rate


def test_rounds_that_fit() -> None:
    assert rounds_that_fit(target_ns=42 * MS, guard_ns=2 * MS, rto_ns=20 * MS) == 2
    assert rounds_that_fit(target_ns=41 * MS, guard_ns=2 * MS, rto_ns=20 * MS) == 1
    assert rounds_that_fit(target_ns=10 * MS, guard_ns=30 * MS, rto_ns=0) == 0


@pytest.mark.parametrize(
    ("rounds", "rates"),
    [
        (0, [NONE, QUARTER, QUARTER, QUARTER, HALF, FULL, FULL]),
        (1, [NONE, NONE, EIGHTH, EIGHTH, HALF, HALF, HALF]),
        (2, [NONE, NONE, NONE, NONE, QUARTER, QUARTER, HALF]),
        (9, [NONE, NONE, NONE, NONE, QUARTER, QUARTER, HALF]),
    ],
)
def test_the_table(rounds: int, rates: list[RepairRate]) -> None:
    losses = (0, 0.002, 0.006, 0.015, 0.03, 0.05, 0.1)
    assert [rate_for(loss, rounds) for loss in losses] == rates


def test_rates_say_when_a_row_is_due_and_how_wide_it_is() -> None:
    assert [rate.every_blocks for rate in RepairRate] == [0, 8, 4, 2, 1]
    assert EIGHTH.width == 16 and {QUARTER.width, HALF.width, FULL.width} == {12}


def test_it_starts_with_half_and_a_clean_network_gets_none_after_twenty_seconds() -> None:
    listener = Listener()
    assert listener.policy.rate is HALF
    assert listener.lose(0, 19) is HALF
    assert listener.lose(0, 2) is NONE


def test_up_after_two_reports() -> None:
    listener = Listener()
    listener.lose(0, 60)
    rates = [listener.lose(0.5, 0.2) for _ in range(3)]
    assert rates[0] is NONE and rates[2] > NONE
    assert listener.lose(0.5, 5) is FULL


def test_down_only_when_it_stays_well_below() -> None:
    listener = Listener()
    assert listener.lose(0.08, 31) is FULL
    assert listener.lose(0.035, 80) is FULL, "below the threshold, but not well"
    assert listener.lose(0.022, 60) is HALF


def test_it_goes_down_to_the_most_that_was_needed_meanwhile() -> None:
    listener = Listener()
    listener.lose(0.2, 31)
    listener.lose(0.0, 30)
    assert listener.policy.rate is FULL, "the loss over 30 s is still high"
    assert listener.lose(0.0, 25) < FULL


def test_more_rounds_need_less() -> None:
    assert Listener(rto_ms=100).lose(0.05, 60) is FULL
    assert Listener(rto_ms=15).lose(0.05, 60) is HALF
    assert Listener(rto_ms=10).lose(0.04, 60) is QUARTER


def test_a_long_target_earns_no_less_repair() -> None:
    assert Listener(rto_ms=15, target_ms=180).lose(0.05, 60) is HALF


def test_one_late_answer_does_not_count_as_a_longer_path() -> None:
    listener = Listener(rto_ms=10)
    listener.lose(0.045, 60)
    listener.rto_ms = 200
    assert listener.lose(0.045, 2) is QUARTER
    assert listener.lose(0.045, 45) is FULL


def test_bursts_are_left_to_resends() -> None:
    assert Listener(rto_ms=15).lose(0.1, 60, burst=4) is QUARTER
    assert Listener(rto_ms=100).lose(0.1, 60, burst=4) is FULL, "no resend fits"
    assert Listener(rto_ms=100, target_ms=150).lose(0.1, 60, burst=4) is QUARTER


def test_steps_back_when_more_repair_made_it_worse() -> None:
    listener = Listener()
    assert listener.lose(0.03, 60) is HALF
    before = 0
    while listener.lose(0.08, 0.2) is HALF:
        before += 1
        assert before < 30
    assert listener.policy.rate is FULL
    listener.lose(0.3, 2.4)
    assert listener.policy.rate is HALF
    assert listener.lose(0.3, 25) is HALF
    assert listener.lose(0.3, 10) is FULL


def test_a_lasting_loss_is_no_reason_to_step_back() -> None:
    listener = Listener()
    listener.lose(0, 60)
    listener.lose(0.3, 8)
    assert listener.lose(0.3, 60) is FULL
