"""Sender, network and listener of one stream under a virtual clock, with the real policies.

Everything decides as in the program: request timers, guard, budget, reports, rate
policy with its switching, clock exchange, target. Only two things are modelled:
blocks are bare numbers, and the erasure code is ideal, a random linear one over a
large prime, so a set of rows solves exactly what its rank allows.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from echowarp.media.target import AUTO, Policy, TargetDelay, Way
from echowarp.session.clock import ClockExchange
from echowarp.session.rate_policy import RatePolicy, RepairRate
from echowarp.session.reports import REPORT_INTERVAL_NS, LossEstimate, ReceiptCounter
from echowarp.session.requests import RequestTimers
from echowarp.session.resends import BlockRing, Resends
from echowarp.wire.feedback import (
    ClockAnswer,
    Report,
    ReportEntry,
    Request,
)

MS = 1_000_000
S = 1_000 * MS
BLOCK_NS = 5 * MS
STEER_SHARE = 0.003
"""3 ms/s: how fast the resampler lets the delay follow the target."""
PRIME = (1 << 31) - 1


def no_jitter(_: random.Random) -> int:
    return 0


def lan_jitter(rng: random.Random) -> int:
    """A quiet LAN: a tenth of a millisecond, now and then one."""
    return int(rng.expovariate(1 / (0.1 * MS)))


def wifi_jitter(rng: random.Random) -> int:
    """Exponential 2 ms, and 3 % of packets up to 30 ms."""
    jitter = rng.expovariate(1 / (2 * MS))
    if rng.random() < 0.03:
        jitter += rng.uniform(0, 30 * MS)
    return int(jitter)


def uniform_jitter(rng: random.Random) -> int:
    return int(rng.uniform(0, 40 * MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """loss: share of datagrams; burst_ns: how long a loss lasts, 0 for single ones."""

    loss: float
    round_trip_ns: int
    jitter: Callable[[random.Random], int]
    burst_ns: int = 0


class Path:
    """One direction of a network."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._rng = random.Random(seed)
        self._bad_until_ns = -1

    def arrival_ns(self, now_ns: int) -> int | None:
        """When a datagram sent now arrives, or None when it is lost."""
        net, rng = self._network, self._rng
        if net.burst_ns:
            if now_ns < self._bad_until_ns:
                return None
            # A burst begins with the first datagram after a good time, so the
            # mean good time makes the share.
            good_ns = net.burst_ns * (1 - net.loss) / net.loss if net.loss else float("inf")
            if self._bad_until_ns < 0:
                self._bad_until_ns = 0
                self._next_bad_ns = int(rng.expovariate(1 / good_ns))
            if now_ns >= self._next_bad_ns:
                self._bad_until_ns = now_ns + net.burst_ns
                self._next_bad_ns = self._bad_until_ns + int(rng.expovariate(1 / good_ns))
                return None
        elif rng.random() < net.loss:
            return None
        return now_ns + net.round_trip_ns // 2 + net.jitter(rng)


class IdealCode:
    """Repair rows with random coefficients modulo a prime, solved as they come."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._have: set[int] = set()
        self._rows: dict[int, dict[int, int]] = {}

    def has(self, seq: int) -> bool:
        return seq in self._have

    def known(self, seq: int) -> list[int]:
        """Block `seq` is here. Returns the blocks that follow from it."""
        if seq in self._have:
            return []
        self._have.add(seq)
        self._forget(seq)
        solved: list[int] = []
        for pivot, row in list(self._rows.items()):
            if pivot not in self._rows or seq not in row:
                continue
            del row[seq]
            if pivot == seq:
                del self._rows[pivot]
                solved += self._add(row)
            else:
                solved += self._take_single(pivot)
        return solved

    def row(self, seq: int, width: int) -> list[int]:
        """A row over seq-width+1 .. seq. Returns the blocks that it makes known."""
        first = max(0, seq - width + 1)
        unknown = [s for s in range(first, seq + 1) if s not in self._have]
        return self._add({s: self._rng.randrange(1, PRIME) for s in unknown})

    def _add(self, row: dict[int, int]) -> list[int]:
        row = {s: c for s, c in row.items() if s not in self._have}
        for pivot in [s for s in row if s in self._rows]:
            _subtract(row, row[pivot], self._rows[pivot])
        if not row:
            return []
        pivot = min(row)
        inverse = pow(row[pivot], -1, PRIME)
        row = {s: c * inverse % PRIME for s, c in row.items()}
        for other in self._rows.values():
            if pivot in other:
                _subtract(other, other[pivot], row)
        self._rows[pivot] = row
        solved: list[int] = []
        for each in list(self._rows):
            if each in self._rows:
                solved += self._take_single(each)
        return solved

    def _take_single(self, pivot: int) -> list[int]:
        if len(self._rows[pivot]) > 1:
            return []
        del self._rows[pivot]
        return [pivot, *self.known(pivot)]

    def _forget(self, newest: int) -> None:
        if newest % 256 == 0:
            self._have = {s for s in self._have if s > newest - 512}
            self._rows = {p: r for p, r in self._rows.items() if min(r) > newest - 256}


def _subtract(row: dict[int, int], factor: int, other: dict[int, int]) -> None:
    for seq, coefficient in other.items():
        value = (row.get(seq, 0) - factor * coefficient) % PRIME
        if value:
            row[seq] = value
        else:
            row.pop(seq, None)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """played: blocks; missing: not played as sent; delay_ns: the sum over plays of the
    delay above the fastest path; datagrams: sent to the listener."""

    played: int = 0
    missing: int = 0
    delay_ns: int = 0
    datagrams: int = 0
    blocks: int = 0
    resent: int = 0
    at_rate: Counter[RepairRate] = field(default_factory=Counter)
    missed_at: list[int] = field(default_factory=list)

    @property
    def mean_delay_ms(self) -> float:
        return self.delay_ns / max(1, self.played) / MS

    @property
    def missing_percent(self) -> float:
        return 100 * self.missing / max(1, self.played)

    @property
    def overhead_percent(self) -> float:
        return 100 * (self.datagrams / self.blocks - 1)


class EngineModel:
    """One run. blocks: how many are sent; skip: plays that do not enter the outcome."""

    def __init__(
        self,
        network: Network,
        *,
        blocks: int,
        seed: int,
        policy: Policy | int = AUTO,
        skip: int = 0,
        fixed_rate: RepairRate | None = None,
    ) -> None:
        self.outcome = Outcome()
        self.trace: list[tuple[int, int, RepairRate]] = []
        """Once a second: time, target, rate."""
        self._blocks, self._skip = blocks, skip
        self._base_ns = network.round_trip_ns // 2
        self._down, self._up = Path(network, seed), Path(network, seed + 1)
        self._fixed_rate = fixed_rate
        self._now_ns = 0
        self._order = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        # Sender.
        self._ring = BlockRing(block_ns=BLOCK_NS)
        self._resends = Resends(self._ring, block_ns=BLOCK_NS, now_ns=0)
        self._estimate = LossEstimate()
        self._rate = RatePolicy(0)
        self._number = 0
        # Listener.
        self._counter = ReceiptCounter()
        self._timers = RequestTimers(next_seq=0, block_ns=BLOCK_NS)
        self._code = IdealCode(seed + 2)
        self._clock = ClockExchange(0)
        self._target = TargetDelay(policy, period_ns=0, now_ns=0)
        self._delay_ns: int | None = None
        self._play_seq = 0
        self._grow = False
        self._wake_ns = 1 << 62

    def run(self) -> Outcome:
        self._at(0, self._send_block)
        self._at(0, self._ask_clock)
        self._at(REPORT_INTERVAL_NS, self._report)
        end_ns = self._blocks * BLOCK_NS
        while self._events:
            now_ns, _, event = heapq.heappop(self._events)
            if now_ns > end_ns:
                break
            self._now_ns = now_ns
            event()
        return self.outcome

    def _at(self, when_ns: int, event: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when_ns, self._order, event))

    # The sender.

    def _send_block(self) -> None:
        seq = self._ring.highest + 1
        self._ring.put(seq, b"")
        self.outcome.blocks += 1
        self._send(lambda: self._take_block(seq, resent=False))
        rate = self._rate.rate if self._fixed_rate is None else self._fixed_rate
        self.outcome.at_rate[rate] += 1
        if rate is not RepairRate.NONE and seq and seq % rate.every_blocks == 0:
            width = rate.width
            self._send(lambda: self._take_row(seq, width))
        if seq % 200 == 0:
            self.trace.append((self._now_ns, self._target.target_ns, rate))
        self._at(self._now_ns + BLOCK_NS, self._send_block)

    def _send(self, receive: Callable[[], None]) -> None:
        number = self._number
        self._number += 1
        self.outcome.datagrams += 1
        arrival_ns = self._down.arrival_ns(self._now_ns)
        if arrival_ns is None:
            return

        def arrive() -> None:
            self._counter.accepted(number, self._now_ns)
            receive()

        self._at(arrival_ns, arrive)

    def _take_request(self, request: Request) -> None:
        for resend in self._resends.answer(request, self._now_ns):
            self.outcome.resent += 1
            self._send(lambda seq=resend.seq: self._take_block(seq, resent=True))  # type: ignore[misc]

    def _take_report(self, report: Report) -> None:
        if not self._estimate.receive(report, last_number=self._number - 1, now_ns=self._now_ns):
            return
        self._resends.set_round_trip(report.rto_ns)
        entry = report.entries[0]
        self._rate.report(
            self._estimate,
            target_ns=entry.target_ns,
            guard_ns=entry.guard_ns,
            rto_ns=report.rto_ns,
            now_ns=self._now_ns,
        )

    # The listener.

    def _take_block(self, seq: int, *, resent: bool) -> None:
        self._timers.arrived(seq, self._now_ns, resent=resent)
        if not self._code.has(seq):
            self._usable(seq, Way.RESENT if resent else Way.RECEIVED)
            self._solved(self._code.known(seq))
        if self._delay_ns is None:
            self._delay_ns = self._now_ns - seq * BLOCK_NS + self._target.target_ns
            self._play_seq = seq
            self._at(self._due_ns(), self._play)
        self._arm()

    def _take_row(self, seq: int, width: int) -> None:
        self._solved(self._code.row(seq, width))

    def _solved(self, seqs: list[int]) -> None:
        for seq in seqs:
            self._timers.repaired(seq)
            self._usable(seq, Way.REPAIRED)

    def _usable(self, seq: int, way: Way) -> None:
        self._target.usable(self._now_ns - seq * BLOCK_NS, self._now_ns, way)
        if seq < self._play_seq:
            self._grow = True

    def _due_ns(self) -> int:
        assert self._delay_ns is not None
        return self._play_seq * BLOCK_NS + self._delay_ns

    def _play(self) -> None:
        seq = self._play_seq
        assert self._delay_ns is not None
        if seq >= self._skip:
            self.outcome.played += 1
            self.outcome.delay_ns += self._delay_ns - self._base_ns
            if not self._code.has(seq):
                self.outcome.missing += 1
                self.outcome.missed_at.append(seq)
        fastest_ns = self._target.fastest_ns
        assert fastest_ns is not None
        step_ns = fastest_ns + self._target.target_ns - self._delay_ns
        if not (self._grow and step_ns > 0):
            most_ns = int(BLOCK_NS * STEER_SHARE)
            step_ns = max(-most_ns, min(most_ns, step_ns))
        self._grow = False
        self._delay_ns += step_ns
        self._play_seq += 1
        self._timers.set_playout(self._play_seq, self._due_ns())
        self._at(self._due_ns(), self._play)

    def _arm(self) -> None:
        timeout_ns = self._timers.timeout_ns()
        if timeout_ns is not None and timeout_ns < self._wake_ns:
            self._wake_ns = max(timeout_ns, self._now_ns)
            self._at(self._wake_ns, self._wake)

    def _wake(self) -> None:
        if self._now_ns < self._wake_ns:
            return
        self._wake_ns = 1 << 62
        for request in self._timers.handle_timeout(self._now_ns):
            self._feed_back(lambda r=request: self._take_request(r))  # type: ignore[misc]
        self._arm()

    def _feed_back(self, receive: Callable[[], None]) -> None:
        arrival_ns = self._up.arrival_ns(self._now_ns)
        if arrival_ns is not None:
            self._at(arrival_ns, receive)

    def _report(self) -> None:
        self._at(self._now_ns + REPORT_INTERVAL_NS, self._report)
        guard_ns, rto_ns = self._timers.guard_ns, self._clock.rto_ns
        tally = self._counter.tally(self._now_ns, guard_ns)
        if tally is not None:
            entry = ReportEntry(0, guard_ns, self._target.target_ns)
            report = Report(*tally, rto_ns, (entry,))
            self._feed_back(lambda: self._take_report(report))

    def _ask_clock(self) -> None:
        ask = self._clock.handle_timeout(self._now_ns)
        if ask is not None:
            self._feed_back(lambda: self._answer_clock(ask.t1_ns))
        self._at(self._clock.timeout_ns(), self._ask_clock)

    def _answer_clock(self, t1_ns: int) -> None:
        answer = ClockAnswer(t1_ns, self._now_ns, self._now_ns)
        arrival_ns = self._down.arrival_ns(self._now_ns)
        if arrival_ns is not None:
            self._at(arrival_ns, lambda: self._take_clock(answer))

    def _take_clock(self, answer: ClockAnswer) -> None:
        self._clock.receive(answer, self._now_ns)
        srtt_ns = self._clock.srtt_ns
        if srtt_ns is not None:
            self._timers.set_round_trip(srtt_ns=srtt_ns, rto_ns=self._clock.rto_ns)
