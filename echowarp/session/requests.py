"""When the receiver of a stream asks for a block that did not come.

A gap shows by a later block, or by a block that is one block time overdue. The
first request leaves one guard later (reordering is not loss), four more an RTO apart
and then each after twice the time, for a network that stands still answers once it moves
again; as long as the answer can still come before its block is due to be played.
"""

from __future__ import annotations

from dataclasses import dataclass

from echowarp.session.guard import ReorderGuard
from echowarp.wire.feedback import REQUEST_SPAN, Request
from echowarp.wire.serial import wrap

MS = 1_000_000
S = 1_000 * MS

QUICK_REPEATS = 4
RING_NS = S
"""What lies further back the sender no longer has."""
MAX_OVERDUE_BLOCKS = 8
"""Noticed without a later block: a longer pause is an outage, where asking is in vain."""


@dataclass(slots=True)
class _Timer:
    next_ns: int
    asked: int


class RequestTimers:
    """The requests of one stream. One thread owns it.

    next_seq: the first block to expect, unwrapped; block_ns: how long a block lasts.
    """

    def __init__(self, *, next_seq: int, block_ns: int) -> None:
        self._guard = ReorderGuard()
        self._block_ns = block_ns
        self._ring_blocks = RING_NS // block_ns
        self._highest = next_seq - 1
        self._newest = next_seq - 1
        self._overdue_ns: int | None = None
        self._noticed: dict[int, int] = {}
        self._timers: dict[int, _Timer] = {}
        self._next_ns = 0
        """None of the timers is due before then: it is asked for far oftener than one is."""
        self._srtt_ns = 0
        self._rto_ns = 100 * MS
        self._due_seq = next_seq
        self._due_ns: int | None = None

    @property
    def guard_ns(self) -> int:
        """How long a missing block is waited for before it is asked for, 2..30 ms."""
        return self._guard.guard_ns

    def set_round_trip(self, *, srtt_ns: int, rto_ns: int) -> None:
        """The round trip as the clock exchange measures it."""
        self._srtt_ns, self._rto_ns = srtt_ns, rto_ns

    def set_playout(self, seq: int, due_ns: int | None) -> None:
        """Block `seq` is played at `due_ns` and the later ones a block time apart, or,
        where that is None, whenever they come. Those before it are over.

        Until this is called first, every request is in time.
        """
        self._due_seq, self._due_ns = seq, due_ns

    def arrived(self, seq: int, now_ns: int, *, resent: bool = False) -> None:
        """Block `seq` came, as sent first or in answer to a request."""
        noticed_ns = None
        if self._noticed:
            noticed_ns = self._noticed.pop(seq, None)
            self._timers.pop(seq, None)
        if not resent and (noticed_ns is not None or seq > self._highest):
            self._guard.came(0 if noticed_ns is None else now_ns - noticed_ns, now_ns)
        if seq > self._highest:
            if seq > self._highest + 1:
                self._notice(max(self._highest + 1, seq - self._ring_blocks), seq, now_ns)
            self._highest = seq
        if seq > self._newest:
            self._newest = seq
            self._overdue_ns = now_ns + 2 * self._block_ns
            if self._noticed:
                self._forget()

    def repaired(self, seq: int) -> None:
        """Block `seq` was made from repair rows and need not be asked for."""
        self._timers.pop(seq, None)

    def pause(self) -> None:
        """The stream says that it is silent: no block is due until the next one comes."""
        self._overdue_ns = None

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        if not self._timers:
            return self._overdue_ns
        overdue_ns, next_ns = self._overdue_ns, self._next_ns
        return next_ns if overdue_ns is None or next_ns < overdue_ns else overdue_ns

    def handle_timeout(self, now_ns: int) -> list[Request]:
        """The requests that leave now, a block in at most one of them."""
        self._notice_overdue(now_ns)
        if not self._timers:
            return []
        due: list[int] = []
        for seq, timer in list(self._timers.items()):
            if timer.next_ns > now_ns:
                continue
            if not self._in_time(seq, now_ns):
                del self._timers[seq]
                continue
            timer.asked += 1
            timer.next_ns = now_ns + (self._rto_ns << max(0, timer.asked - QUICK_REPEATS))
            due.append(seq)
        self._next_ns = min((timer.next_ns for timer in self._timers.values()), default=0)
        return _as_requests(sorted(due))

    def _in_time(self, seq: int, now_ns: int) -> bool:
        if seq < self._due_seq or now_ns - self._noticed[seq] > RING_NS:
            return False
        if self._due_ns is None:
            return True
        deadline_ns = self._due_ns + (seq - self._due_seq) * self._block_ns
        return now_ns + self._srtt_ns < deadline_ns

    def _notice(self, first: int, end: int, now_ns: int) -> None:
        next_ns = now_ns + self._guard.guard_ns
        self._next_ns = min(self._next_ns, next_ns) if self._timers else next_ns
        for seq in range(first, end):
            self._noticed[seq] = now_ns
            self._timers[seq] = _Timer(next_ns, 0)

    def _notice_overdue(self, now_ns: int) -> None:
        while self._overdue_ns is not None and now_ns >= self._overdue_ns:
            if self._highest - self._newest >= MAX_OVERDUE_BLOCKS:
                self._overdue_ns = None
                return
            self._highest += 1
            self._notice(self._highest, self._highest + 1, self._overdue_ns)
            self._overdue_ns += self._block_ns

    def _forget(self) -> None:
        # Blocks are noticed in their order, so the oldest stands first; a timer without
        # its notice there is none.
        oldest = self._newest - self._ring_blocks
        while self._noticed and (seq := next(iter(self._noticed))) < oldest:
            del self._noticed[seq]
            self._timers.pop(seq, None)


def _as_requests(seqs: list[int]) -> list[Request]:
    requests: list[Request] = []
    base, bits = 0, 0
    for seq in seqs:
        if bits and seq - base >= REQUEST_SPAN:
            requests.append(Request(wrap(base), bits))
            bits = 0
        if not bits:
            base = seq
        bits |= 1 << (seq - base)
    if bits:
        requests.append(Request(wrap(base), bits))
    return requests
