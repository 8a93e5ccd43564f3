"""The sender's side of requests: what is kept, and how much of it may be sent again."""

from __future__ import annotations

from typing import NamedTuple

from echowarp.wire.feedback import Request
from echowarp.wire.serial import unwrap

NS_PER_S = 1_000_000_000

RING_NS = NS_PER_S
BURST_PACKETS = 20
BUDGET_SHARE = 0.5
"""Of the packets of the stream itself; whoever asks for more gets no more."""


class Resend(NamedTuple):
    """A block to send again: its unwrapped number and the body it had."""

    seq: int
    body: bytes


class BlockRing:
    """The bodies of the last second of a stream, shared by all its listeners."""

    def __init__(self, *, block_ns: int) -> None:
        self.capacity_blocks = max(1, RING_NS // block_ns)
        self.highest = -1
        """The newest block, -1 before the first."""
        self._bodies: dict[int, bytes] = {}

    def put(self, seq: int, body: bytes) -> None:
        """Keeps the body of block `seq` (unwrapped) for a second; one that is as old or
        older is not kept."""
        highest, capacity, bodies = self.highest, self.capacity_blocks, self._bodies
        if seq > highest:
            for old in range(highest - capacity + 1, min(seq - capacity, highest) + 1):
                bodies.pop(old, None)
            self.highest = highest = seq
        if seq > highest - capacity:
            bodies[seq] = body

    def get(self, seq: int) -> bytes | None:
        """The body of block `seq`, or None when it is not kept."""
        return self._bodies.get(seq)


class Resends:
    """What one listener may have again of one stream. One thread owns it.

    Budget: half a packet for each block of the stream, 20 at once at most; a block
    already on its way is not sent twice, and one that is not kept costs nothing.
    """

    def __init__(self, ring: BlockRing, *, block_ns: int, now_ns: int) -> None:
        self._ring = ring
        self._ns_a_packet = int(block_ns / BUDGET_SHARE)
        self._credit_ns = BURST_PACKETS * self._ns_a_packet
        self._credited_ns = now_ns
        self._hold_ns = 0
        self._last_ns: dict[int, int] = {}

    def set_round_trip(self, round_trip_ns: int) -> None:
        """Repeats within half of it are dropped; the RTO that reports tell serves as well."""
        self._hold_ns = round_trip_ns // 2

    def answer(self, request: Request, now_ns: int) -> list[Resend]:
        """The blocks to send again now, ascending."""
        self._earn(now_ns)
        base = unwrap(request.seq, self._ring.highest)
        answers: list[Resend] = []
        for offset in request.offsets():
            seq = base + offset
            body = self._ring.get(seq)
            last_ns = self._last_ns.get(seq)
            if body is None or (last_ns is not None and now_ns - last_ns < self._hold_ns):
                continue
            if self._credit_ns < self._ns_a_packet:
                break
            self._credit_ns -= self._ns_a_packet
            self._last_ns[seq] = now_ns
            answers.append(Resend(seq, body))
        self._forget()
        return answers

    def _earn(self, now_ns: int) -> None:
        earned_ns = max(0, now_ns - self._credited_ns)
        self._credit_ns = min(self._credit_ns + earned_ns, BURST_PACKETS * self._ns_a_packet)
        self._credited_ns = max(self._credited_ns, now_ns)

    def _forget(self) -> None:
        if len(self._last_ns) > self._ring.capacity_blocks:
            kept = self._ring.highest - self._ring.capacity_blocks
            self._last_ns = {s: at for s, at in self._last_ns.items() if s > kept}
