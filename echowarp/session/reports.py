"""What the receiver tells about loss, and what the sender makes of it.

Loss is of datagram numbers, so repair rows and resends count like blocks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import NamedTuple

from echowarp.wire.feedback import Report
from echowarp.wire.serial import unwrap

MS = 1_000_000
S = 1_000 * MS

REPORT_INTERVAL_NS = 200 * MS
MIN_INTERVAL_NS = 100 * MS
"""Reports that come faster tell nothing new and are dropped."""
SHORT_NS, LONG_NS = 5 * S, 30 * S
REMEMBERED_NUMBERS = 1024
"""As many as the replay window lets in late."""
MIN_NUMBERS = 20
"""Fewer say nothing about loss."""


class Tally(NamedTuple):
    """Of the numbers up to `highest`, `received` came; the others lack in `bursts` runs."""

    highest: int
    received: int
    bursts: int


class ReceiptCounter:
    """The receiver's count over one session. One thread owns it."""

    def __init__(self) -> None:
        self._settled = -1
        self._received = 0
        self._bursts = 0
        self._waiting: set[int] = set()
        self._missing: dict[int, None] = {}
        self._highs: deque[tuple[int, int]] = deque()
        self._highest = -1

    def accepted(self, number: int, now_ns: int) -> None:
        """The datagram of this number passed window and tag, so it comes once only."""
        if number > self._highest:
            self._highest = number
            self._highs.append((now_ns, number))
        if number > self._settled:
            self._waiting.add(number)
            return
        # Late after all: not lost, whatever was told before.
        self._received += 1
        if number in self._missing:
            del self._missing[number]
            beside = (number - 1 in self._missing) + (number + 1 in self._missing)
            self._bursts += beside - 1

    def tally(self, now_ns: int, guard_ns: int) -> Tally | None:
        """The count up to the largest number seen one guard ago; None before there is one."""
        while self._highs and self._highs[0][0] <= now_ns - guard_ns:
            self._settle(self._highs.popleft()[1])
        if self._settled < 0:
            return None
        return Tally(self._settled, self._received, self._bursts)

    def _settle(self, highest: int) -> None:
        came = sorted(number for number in self._waiting if number <= highest)
        self._waiting.difference_update(came)
        before = self._settled
        for number in came:
            if number > before + 1:
                self._miss(before + 1, number)
            before = number
        self._received += len(came)
        self._settled = highest

    def _miss(self, first: int, end: int) -> None:
        self._bursts += 1
        self._missing.update(dict.fromkeys(range(max(first, end - REMEMBERED_NUMBERS), end)))
        while len(self._missing) > REMEMBERED_NUMBERS:
            del self._missing[next(iter(self._missing))]


class LossWindow(NamedTuple):
    """Of `numbers` datagrams `missing` never came, in `bursts` runs."""

    numbers: int
    missing: int
    bursts: int

    @property
    def loss(self) -> float:
        """The share that was lost, 0..1; 0 where too few were sent to tell."""
        return self.missing / self.numbers if self.numbers >= MIN_NUMBERS else 0.0

    @property
    def sure_loss(self) -> float:
        """The share that was lost less two standard deviations: what chance does not explain."""
        return max(0.0, self.loss - 2 * math.sqrt(self.missing) / max(1, self.numbers))

    @property
    def mean_burst(self) -> float:
        """Datagrams lost in a row, on average, at least 1."""
        return max(1.0, self.missing / max(1, self.bursts))


class LossEstimate:
    """The sender's view of one listener. Nothing in a report is believed blindly."""

    def __init__(self) -> None:
        self._tallies: list[Tally] = []
        self._times_ns: list[int] = []

    def receive(self, report: Report, *, last_number: int, now_ns: int) -> bool:
        """Takes a report; last_number: the number of the newest datagram sent to this listener.

        False for one that is dropped: too soon, older than another, or of numbers never sent.
        """
        last = self._tallies[-1] if self._tallies else Tally(-1, 0, 0)
        highest = unwrap(report.highest, last_number)
        soon = bool(self._times_ns) and now_ns - self._times_ns[-1] < MIN_INTERVAL_NS
        if soon or not last.highest <= highest <= last_number or highest < 0:
            return False
        received = min(highest + 1, max(0, unwrap(report.received, highest + 1)))
        bursts = min(highest + 1 - received, max(0, unwrap(report.bursts, last.bursts)))
        self._tallies.append(Tally(highest, received, bursts))
        self._times_ns.append(now_ns)
        # One that is older than the window stays, for the window begins with it.
        if len(self._times_ns) > 1 and self._times_ns[1] <= now_ns - LONG_NS:
            del self._tallies[0], self._times_ns[0]
        return True

    def over(self, window_ns: int, now_ns: int) -> LossWindow:
        """What was lost during the last `window_ns`, or since the first report."""
        if not self._tallies:
            return LossWindow(0, 0, 0)
        at = bisect_right(self._times_ns, now_ns - window_ns) - 1
        # Before the first report lies the beginning of the session.
        start = self._tallies[at] if at >= 0 else Tally(-1, 0, 0)
        end = self._tallies[-1]
        numbers = end.highest - start.highest
        missing = numbers - (end.received - start.received)
        missing = max(0, min(numbers, missing))
        return LossWindow(numbers, missing, max(0, min(missing, end.bursts - start.bursts)))
