"""How much repair one listener gets, from its loss and the resends that fit its target.

A loss that a resend can still cure needs little repair; where the round trip is
longer than the target, repair alone has to do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from echowarp.session.reports import LONG_NS, REPORT_INTERVAL_NS, SHORT_NS, LossEstimate

MS = 1_000_000
S = 1_000 * MS


class RepairRate(IntEnum):
    """Repair rows for each block."""

    NONE = 0
    EIGHTH = 1
    QUARTER = 2
    HALF = 3
    FULL = 4

    @property
    def every_blocks(self) -> int:
        """A row follows every so many blocks; 0 for never."""
        return (0, 8, 4, 2, 1)[self]

    @property
    def width(self) -> int:
        """Blocks that a row covers; more where rows are rare."""
        return 16 if self is RepairRate.EIGHTH else 12


NEVER = 2.0
"""A threshold that no loss reaches."""
THRESHOLDS = (
    (0.001, 0.001, 0.02, 0.04),
    (0.005, 0.02, 0.02, NEVER),
    (0.02, 0.02, 0.07, NEVER),
)
"""For 0, 1, 2 and more resends that fit: the loss from which on a rate above NONE,
EIGHTH, QUARTER, HALF is needed."""

_RATES = tuple(RepairRate)
"""A look here is cheaper than a call of the enumeration, and each report takes two."""

START_RATE = RepairRate.HALF
"""Until loss is known: the first seconds are heard as well as any other."""
UP_REPORTS = 2
DOWN_NS = 20 * S
DOWN_SHARE = 0.7
"""Down when the loss has stayed below this share of the threshold for DOWN_NS."""
BURST_PACKETS = 2.0
BURST_RATE = RepairRate.QUARTER
"""Longer bursts are cured by resends and delay, so more repair than this is wasted."""
HARM_WATCH_NS = 2 * S
HARM_FACTOR = 1.5
HARM_SIGMAS = 3.0
"""A rise that chance does not explain: so many standard deviations of a loss count."""
STEP_BACK_NS = 30 * S


PLANNED_NS = 22 * MS
"""A longer target earns no less repair: else less repair would lengthen the target, a
longer target allow less repair, and the delay would end higher than it need be. Two
rounds of the least RTO, and the least guard, fit exactly."""
RTO_WINDOW_NS = 10 * S
"""The least RTO of so long counts: one late answer is not a longer path."""


def rounds_that_fit(*, target_ns: int, guard_ns: int, rto_ns: int) -> int:
    """How many resend rounds fit the target delay."""
    return max(0, (target_ns - guard_ns) // max(1, rto_ns))


def rate_for(loss: float, rounds: int) -> RepairRate:
    """The rate that the table gives for a loss (0..1) and the rounds that fit."""
    row = THRESHOLDS[min(rounds, len(THRESHOLDS) - 1)]
    return _RATES[bisect_right(row, loss)]


@dataclass(frozen=True, slots=True)
class _Step:
    """A step up that may turn out to do harm."""

    at_ns: int
    loss: float
    before: RepairRate


class RatePolicy:
    """The repair rate of one listener. One thread owns it."""

    def __init__(self, now_ns: int) -> None:
        self.rate = START_RATE
        self._rtos: deque[tuple[int, int]] = deque()
        self._above: list[RepairRate] = []
        self._below_since_ns = now_ns
        self._below_most = RepairRate.NONE
        self._step: _Step | None = None
        self._ceiling = RepairRate.FULL
        self._ceiling_until_ns = now_ns

    def report(
        self,
        estimate: LossEstimate,
        *,
        target_ns: int,
        guard_ns: int,
        rto_ns: int,
        now_ns: int,
    ) -> RepairRate:
        """The rate from now on, after a report that `estimate` took in and that told the rest."""
        rto_ns = self._least_rto_ns(rto_ns, now_ns)
        planned_ns = min(target_ns, PLANNED_NS)
        rounds = rounds_that_fit(target_ns=planned_ns, guard_ns=guard_ns, rto_ns=rto_ns)
        short, long = estimate.over(SHORT_NS, now_ns), estimate.over(LONG_NS, now_ns)
        surely_short = short.sure_loss
        loss = max(surely_short, long.sure_loss)
        bursty = (
            long.mean_burst > BURST_PACKETS
            and rounds_that_fit(target_ns=target_ns, guard_ns=guard_ns, rto_ns=rto_ns) >= 1
        )
        self._watch_harm(estimate, now_ns)
        most = self._ceiling if now_ns < self._ceiling_until_ns else RepairRate.FULL
        if bursty:
            most = min(most, BURST_RATE)
        wanted = min(most, rate_for(loss, rounds))
        # Down only well below the threshold, by the loss of a time long enough to be sure.
        upper = max(surely_short, long.loss) / DOWN_SHARE
        surely = min(most, rate_for(upper, rounds))
        self._go_up(wanted, estimate, now_ns)
        self._go_down(surely, now_ns)
        self.rate = min(self.rate, most)
        return self.rate

    def _least_rto_ns(self, rto_ns: int, now_ns: int) -> int:
        # Ascending: one that a later one undercuts can never be the least again.
        while self._rtos and self._rtos[-1][1] >= rto_ns:
            self._rtos.pop()
        self._rtos.append((now_ns, rto_ns))
        while self._rtos[0][0] <= now_ns - RTO_WINDOW_NS:
            self._rtos.popleft()
        return self._rtos[0][1]

    def _go_up(self, wanted: RepairRate, estimate: LossEstimate, now_ns: int) -> None:
        if wanted <= self.rate:
            self._above.clear()
            return
        self._above.append(wanted)
        if len(self._above) < UP_REPORTS:
            return
        # What led to a step is newer than the window that is judged by it.
        windows_ns = (UP_REPORTS * REPORT_INTERVAL_NS, HARM_WATCH_NS, SHORT_NS)
        loss = max(estimate.over(window_ns, now_ns).loss for window_ns in windows_ns)
        self._step = _Step(now_ns, loss, self.rate)
        self.rate = min(self._above)
        self._above.clear()
        self._stay(now_ns)

    def _go_down(self, surely: RepairRate, now_ns: int) -> None:
        if surely >= self.rate:
            self._stay(now_ns)
            return
        self._below_most = max(self._below_most, surely)
        if now_ns - self._below_since_ns >= DOWN_NS:
            self.rate = self._below_most
            self._stay(now_ns)

    def _stay(self, now_ns: int) -> None:
        self._below_since_ns, self._below_most = now_ns, RepairRate.NONE

    def _watch_harm(self, estimate: LossEstimate, now_ns: int) -> None:
        """Steps back when the loss rose right after a step up: more repair is the cause."""
        step = self._step
        if step is None or now_ns - step.at_ns < HARM_WATCH_NS:
            return
        self._step = None
        since = estimate.over(HARM_WATCH_NS, now_ns)
        expected = step.loss * since.numbers
        surplus = since.missing - expected
        if since.loss > HARM_FACTOR * step.loss and surplus > HARM_SIGMAS * max(1, expected) ** 0.5:
            self._ceiling, self._ceiling_until_ns = step.before, now_ns + STEP_BACK_NS
