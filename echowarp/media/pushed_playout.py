"""Playout into a sink without a clock: a file, a pipe, nothing.

A block leaves as soon as it and all before it are there. It is never altered:
where blocks are missing, the seams lie wholly inside the gap. So a recording is
bit-exact wherever its blocks arrived, and keeps its time where they did not.
"""

from __future__ import annotations

from collections.abc import Iterator

from echowarp.media.arrivals import MISSING_REMEMBERED_MS, Arrivals, Counters
from echowarp.media.concealment import History, fill
from echowarp.media.format import NS_PER_S, Format

NOTHING_CAME_NS = NS_PER_S
"""So long without any block, and what is missing is given up."""
END_PATIENCE_NS = NS_PER_S // 2
"""How long after the end of the stream its last blocks may still arrive."""


class PushedPlayout:
    """Puts blocks in order and fills gaps.

    first_seq, first_time: the first block to expect, unwrapped; patience_ns: a
    missing block is given up when one that lies so much later has arrived.
    """

    def __init__(
        self, fmt: Format, *, first_seq: int, first_time: int, patience_ns: int, now_ns: int
    ) -> None:
        self.counters = Counters()
        self._format = fmt
        self._patience_frames = fmt.ns_to_frames(patience_ns)
        remembered = fmt.ns_to_frames(MISSING_REMEMBERED_MS * NS_PER_S // 1000)
        self._arrivals = Arrivals(first_seq, max(1, remembered // fmt.block_frames), self.counters)
        self._position = first_time
        self._history = History(fmt)
        self._heard_ns = now_ns
        self._end_seq: int | None = None

    @property
    def finished(self) -> bool:
        """Whether the stream has ended and all of it has been given out."""
        return self._end_seq is not None and self._arrivals.next_seq >= self._end_seq

    @property
    def next_seq(self) -> int:
        """The block whose turn is next."""
        return self._arrivals.next_seq

    def put(self, seq: int, time: int, payload: bytes, now_ns: int) -> Iterator[bytes]:
        """Takes a block; yields the PCM that can go out now, in order, whole frames."""
        self._heard_ns = now_ns
        if self._arrivals.put(seq, time, payload):
            yield from self._ready()
            while len(self._arrivals) and self._overdue():
                yield from self._give_up()

    def set_patience(self, patience_ns: int) -> None:
        """How long to wait for a missing block from now on."""
        self._patience_frames = self._format.ns_to_frames(patience_ns)

    def end(self, end_seq: int, now_ns: int) -> None:
        """The stream ends before block `end_seq`; what is under way may still come."""
        self._end_seq = end_seq
        self._heard_ns = now_ns

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called."""
        if self._end_seq is not None:
            return None if self.finished else self._heard_ns + END_PATIENCE_NS
        return self._heard_ns + NOTHING_CAME_NS if len(self._arrivals) else None

    def handle_timeout(self, now_ns: int) -> Iterator[bytes]:
        """Gives up what is missing when nothing has come for too long."""
        due_ns = self.timeout_ns()
        if due_ns is None or now_ns < due_ns:
            return
        yield from self.flush()
        if self._end_seq is not None:
            self._arrivals.skip_to(self._end_seq)

    def flush(self) -> Iterator[bytes]:
        """Gives up everything that is missing; yields all that waits."""
        while len(self._arrivals):
            yield from self._give_up()

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        self._arrivals.finish()

    def _overdue(self) -> bool:
        newest = self._arrivals.peek_newest()
        if newest is None:
            return False
        time, payload = newest
        reach = time + len(payload) // self._format.frame_bytes - self._position
        return reach >= self._patience_frames

    def _give_up(self) -> Iterator[bytes]:
        earliest = self._arrivals.earliest()
        assert earliest is not None
        self._arrivals.skip_to(earliest)
        yield from self._ready()

    def _ready(self) -> Iterator[bytes]:
        while (due := self._arrivals.peek()) is not None:
            time, payload = due
            frame_bytes = self._format.frame_bytes
            missing = time - self._position
            if missing > 0:
                recent = self._history.recent()
                for piece in fill(recent, missing, payload, self._format):
                    self._history.remember(piece)
                    yield piece
            self._position = time + len(payload) // frame_bytes
            self._arrivals.take()
            if payload:
                self._history.remember(payload)
                yield payload
