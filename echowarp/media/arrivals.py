"""Blocks that have arrived and wait for their turn, and what became of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from echowarp.media.format import Format

MISSING_REMEMBERED_MS = 2000
"""A block that comes later than this after its turn counts as lost, not late."""

NOTED = 64
"""Arrivals from which the fastest path is known where sound begins."""


@dataclass(slots=True, kw_only=True)
class Counters:
    """What became of blocks since the stream began. Only grows.

    received: came in time, first copies; late: came after their turn; lost: never
    came; duplicate: further copies; reordered: came after a later one, in time;
    concealed: turns for which there was no block.
    """

    received: int = 0
    late: int = 0
    lost: int = 0
    duplicate: int = 0
    reordered: int = 0
    concealed: int = 0


class Arrivals:
    """A map from sequence number to block, with a turn that only moves forward.

    next_seq: the first sequence number whose turn has not come; remember_blocks:
    for how many blocks a missed turn is remembered.
    """

    def __init__(self, next_seq: int, remember_blocks: int, counters: Counters) -> None:
        self.next_seq = next_seq
        self.counters = counters
        self._remember_blocks = remember_blocks
        self._highest = next_seq - 1
        self._waiting: dict[int, tuple[int, bytes]] = {}
        self._missed: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def highest(self) -> int:
        """The highest sequence number that has come."""
        return self._highest

    def put(self, seq: int, time: int, payload: bytes) -> bool:
        """Takes a block in; False when its turn is over or it is here already."""
        if seq < self.next_seq:
            if seq in self._missed:
                del self._missed[seq]
                self.counters.late += 1
            else:
                self.counters.duplicate += 1
            return False
        if seq in self._waiting:
            self.counters.duplicate += 1
            return False
        if seq < self._highest:
            self.counters.reordered += 1
        self._highest = max(self._highest, seq)
        self._waiting[seq] = (time, payload)
        self.counters.received += 1
        return True

    def peek(self) -> tuple[int, bytes] | None:
        """(time, payload) of the block whose turn it is, if it is here."""
        return self._waiting.get(self.next_seq)

    def peek_newest(self) -> tuple[int, bytes] | None:
        """(time, payload) of the block with the highest number that waits."""
        return self._waiting.get(self._highest)

    def earliest(self) -> int | None:
        """The lowest sequence number that waits."""
        return min(self._waiting, default=None)

    def time_of(self, seq: int) -> int:
        """The time of a waiting block."""
        return self._waiting[seq][0]

    def take(self) -> None:
        """The turn of `next_seq` is over, its block was used."""
        del self._waiting[self.next_seq]
        self.next_seq += 1

    def miss(self) -> None:
        """The turn of `next_seq` is over and its block was not here."""
        self.counters.concealed += 1
        self._pass()

    def skip_to(self, seq: int) -> None:
        """Gives up every turn before `seq`, whether its block is here or not."""
        self.counters.concealed += max(0, seq - self.next_seq)
        self.leave_to(seq)

    def leave_to(self, seq: int) -> None:
        """As `skip_to`, for turns in whose place something was played already."""
        # After a long outage nobody counts its turns one by one, beside running sound.
        far = min([seq - self._remember_blocks, *self._waiting])
        if far > self.next_seq:
            self.counters.lost += far - self.next_seq + len(self._missed)
            self._missed.clear()
            self.next_seq = far
        while self.next_seq < seq:
            self._pass()

    def _pass(self) -> None:
        if self._waiting.pop(self.next_seq, None) is None:
            self._missed[self.next_seq] = None
            self._forget()
        self.next_seq += 1

    def first_from(self, seq: int) -> int:
        """The lowest waiting sequence number that is at least `seq`, else the highest."""
        return min((s for s in self._waiting if s >= seq), default=self._highest)

    def start_at(self, seq: int) -> None:
        """Begins with `seq`: earlier turns never were."""
        self._waiting = {s: block for s, block in self._waiting.items() if s >= seq}
        self.next_seq = seq

    def finish(self) -> None:
        """Nothing more will come: what was missed is lost."""
        self.counters.lost += len(self._missed)
        self._missed.clear()

    def _forget(self) -> None:
        oldest = self.next_seq - self._remember_blocks
        while self._missed:
            first = next(iter(self._missed))
            if first >= oldest:
                return
            del self._missed[first]
            self.counters.lost += 1


class NotedArrivals:
    """When the newest blocks came, as (time, at_ns): where sound begins the fastest counts."""

    def __init__(self, fmt: Format) -> None:
        self._format = fmt
        self._noted: deque[tuple[int, int]] = deque(maxlen=NOTED)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._noted)

    def note(self, time: int, at_ns: int) -> None:
        """A block whose first frame is `time` came at `at_ns`."""
        self._noted.append((time, at_ns))

    def fastest_ns(self, time: int) -> int | None:
        """When a block of that time comes by the fastest path; None for nothing known."""
        to_ns = self._format.frames_to_ns
        return min((at_ns - to_ns(noted - time) for noted, at_ns in self._noted), default=None)

    def clear(self) -> None:
        """Forgets all."""
        self._noted.clear()
