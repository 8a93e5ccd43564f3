"""How far the server's clock is from ours, and how long a round trip takes.

Source: the four-timestamp exchange of RFC 5905, section 8, filtered by the least
round trip; smoothing of the round trip as in RFC 6298, section 2.
"""

from __future__ import annotations

from typing import NamedTuple

from echowarp.wire.feedback import ClockAnswer, ClockAsk

MS = 1_000_000
S = 1_000 * MS

FIRST_ASKS = 5
FIRST_INTERVAL_NS = 100 * MS
INTERVAL_NS = S
WINDOW_NS = 10 * S
"""The least round trip of so long gives the offset."""
MAX_STAMP_NS = 1 << 62
MAX_ROUND_TRIP_NS = 2 * S
MIN_RTO_NS = 10 * MS
UNKNOWN_RTO_NS = 100 * MS
"""Until a round trip is known: patient enough for most of the world."""
DRIFT_ALLOWANCE_NS = 11 * MS
"""Honest clocks 1000 ppm apart part by so much, and a little, within the window."""


class _Sample(NamedTuple):
    at_ns: int
    round_trip_ns: int
    offset_ns: int


class ClockExchange:
    """The asking end. Its owner sends what `handle_timeout` gives and feeds the answers.

    The first five asks are 100 ms apart from `now_ns` on, then one each second.
    """

    def __init__(self, now_ns: int) -> None:
        self._next_ns = now_ns
        self._quick_left = FIRST_ASKS
        self._asked: dict[int, None] = {}
        self._samples: list[_Sample] = []
        self._srtt_ns: int | None = None
        self._rttvar_ns = 0

    @property
    def offset_ns(self) -> int | None:
        """Their clock minus ours, or None before the first answer."""
        return None if not self._samples else self._best().offset_ns

    @property
    def srtt_ns(self) -> int | None:
        """The smoothed round trip, without the time the other end took."""
        return self._srtt_ns

    @property
    def rto_ns(self) -> int:
        """How long to wait for an answer before asking again, at least 10 ms."""
        if self._srtt_ns is None:
            return UNKNOWN_RTO_NS
        return max(MIN_RTO_NS, self._srtt_ns + 4 * self._rttvar_ns)

    def timeout_ns(self) -> int:
        """When the next ask is due."""
        return self._next_ns

    def handle_timeout(self, now_ns: int) -> ClockAsk | None:
        """The ask to send now, if one is due."""
        if now_ns < self._next_ns:
            return None
        if now_ns - self._next_ns > MAX_ROUND_TRIP_NS:
            # The machine slept: what was known of either clock may be wrong.
            self._quick_left = FIRST_ASKS
        self._quick_left = max(0, self._quick_left - 1)
        self._next_ns = now_ns + (FIRST_INTERVAL_NS if self._quick_left else INTERVAL_NS)
        self._asked = {t1: None for t1 in self._asked if now_ns - t1 <= MAX_ROUND_TRIP_NS}
        self._asked[now_ns] = None
        return ClockAsk(now_ns)

    def receive(self, answer: ClockAnswer, now_ns: int) -> None:
        """Takes an answer that came at `now_ns`. Those that were never asked for, come
        twice or are absurd are dropped."""
        t1, t2, t3 = answer
        round_trip_ns = (now_ns - t1) - (t3 - t2)
        if t1 not in self._asked or not _plausible(t2, t3, round_trip_ns):
            return
        del self._asked[t1]
        sample = _Sample(now_ns, round_trip_ns, ((t2 - t1) + (t3 - now_ns)) // 2)
        self._forget_other_clocks(sample)
        self._samples.append(sample)
        self._smooth(round_trip_ns)

    def _best(self) -> _Sample:
        return min(self._samples, key=lambda each: each.round_trip_ns)

    def _forget_other_clocks(self, sample: _Sample) -> None:
        """Drops what is old, and everything when one of the clocks has jumped.

        The true offset lies within half a round trip of each measured one, so two
        that exclude each other were not taken on the same pair of clocks.
        """
        self._samples = [s for s in self._samples if sample.at_ns - s.at_ns < WINDOW_NS]
        if not self._samples:
            return
        best = self._best()
        apart_ns = abs(sample.offset_ns - best.offset_ns)
        if apart_ns > (sample.round_trip_ns + best.round_trip_ns) // 2 + DRIFT_ALLOWANCE_NS:
            self._samples.clear()

    def _smooth(self, round_trip_ns: int) -> None:
        if self._srtt_ns is None:
            self._srtt_ns, self._rttvar_ns = round_trip_ns, round_trip_ns // 2
            return
        deviation_ns = abs(self._srtt_ns - round_trip_ns)
        self._rttvar_ns += (deviation_ns - self._rttvar_ns) // 4
        self._srtt_ns += (round_trip_ns - self._srtt_ns) // 8


def _plausible(t2_ns: int, t3_ns: int, round_trip_ns: int) -> bool:
    stamps = 0 <= t2_ns <= t3_ns <= MAX_STAMP_NS
    return stamps and 0 <= round_trip_ns <= MAX_ROUND_TRIP_NS
