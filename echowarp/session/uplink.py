"""One talker's stream as a relay receives it: placed, repaired, bounded, never opened.

Source: protocol 1, section 7. Payloads are opaque bytes here; what is wrong with their
sound is for who plays it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from echowarp.errors import ProtocolError
from echowarp.session.pace import Pace
from echowarp.session.requests import RequestTimers
from echowarp.session.streams import MAX_PAYLOAD_BYTES, StreamFormat, begin, format_of
from echowarp.wire.datagram import BLOCK_HEAD_BYTES, pack_block_head, parse_block
from echowarp.wire.feedback import Request, parse_repair
from echowarp.wire.records import Stream
from echowarp.wire.serial import unwrap, wrap

NS_PER_S = 1_000_000_000
MOST_RATE_PERCENT = 150
"""Blocks, and repair rows, that a talker may send, of what its format needs."""
BURST_NS = NS_PER_S
"""So much may come at once: what a network held back arrives together."""
MIN_BLOCK_NS = NS_PER_S // 500
"""Less than the 2.5 ms that may be asked for: blocks are whole frames, and with some devices
whole periods."""
MIN_BLOCK_BYTES = MAX_PAYLOAD_BYTES // 2
"""A block lasts so long at least, or is as large as half of what a datagram holds."""
SOLVER_BLOCKS = 256
"""Blocks that a solver looks at, at most."""
SEALED_CODEC_BIT = 0x80
"""Of the codec in STREAM: its payloads are sealed end to end."""
SEAL_TAG_BYTES = 16


class Solver(Protocol):
    """Finds lost blocks, as (seq, time, payload), from the blocks and rows that came."""

    @property
    def has_rows(self) -> bool:
        """Whether a row waits for blocks: until then they may be given later, in order."""

    def block(self, seq: int, time: int, payload: bytes) -> Sequence[tuple[int, int, bytes]]:
        """A block was received; gives what is solved by it."""

    def repair(self, seq: int, width: int, total: bytes) -> Sequence[tuple[int, int, bytes]]:
        """A repair row was received; gives what is solved by it."""


class Found(NamedTuple):
    """A block that is new, counters unwrapped. recovered: lost first, then come by a
    resend or by repair; late: after a later one."""

    seq: int
    time: int
    payload: bytes
    recovered: bool
    late: bool


def is_sealed(stream: Stream) -> bool:
    """Whether a stream's payloads are sealed end to end."""
    return bool(stream.codec & SEALED_CODEC_BIT)


def relayed_format(stream: Stream) -> StreamFormat:
    """The format of a stream to pass on, whether its payloads are sealed or not.

    Raises ProtocolError for one that nobody could play, or that is cut finer than sense.
    """
    fmt = format_of(replace(stream, codec=stream.codec & ~SEALED_CODEC_BIT))
    block_bytes = fmt.block_frames * fmt.frame_bytes
    if is_sealed(stream) and block_bytes + SEAL_TAG_BYTES > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"sealed blocks of {fmt.block_frames} frames do not fit a datagram")
    if fmt.block_frames * NS_PER_S < MIN_BLOCK_NS * fmt.rate and block_bytes < MIN_BLOCK_BYTES:
        raise ProtocolError(f"blocks of {fmt.block_frames} frames are too short")
    return fmt


class Uplink:
    """Receives one stream. stream: as the talker announced it.

    Raises ProtocolError as `relayed_format` does.
    """

    def __init__(self, stream: Stream, solver: Solver, now_ns: int) -> None:
        fmt = relayed_format(stream)
        self.block_ns = fmt.block_frames * NS_PER_S // fmt.rate
        self.dropped = 0
        """Datagrams out of place, seen already, or beyond the talker's rate."""
        self._block_frames = fmt.block_frames
        self._sealed = is_sealed(stream)
        self._tracker = begin(replace(stream, codec=0), now_ns)
        self._timers = RequestTimers(next_seq=stream.seq, block_ns=self.block_ns)
        self._solver = solver
        self._unsolved: deque[tuple[int, int, bytes]] = deque(maxlen=SOLVER_BLOCKS)
        """Blocks that the solver has not been given yet, whole as they came: most streams
        need no solving."""
        every_ns = self.block_ns * 100 // MOST_RATE_PERCENT
        self._blocks = Pace(every_ns=every_ns, burst_ns=BURST_NS)
        self._rows = Pace(every_ns=every_ns, burst_ns=BURST_NS)
        self._kept_blocks = NS_PER_S // self.block_ns
        self._seen: set[int] = set()
        self._highest = stream.seq - 1
        self._next_time = stream.time
        self._end_seq: int | None = None
        self._full_body_bytes = BLOCK_HEAD_BYTES + fmt.block_frames * fmt.frame_bytes
        if self._sealed:
            self._full_body_bytes += SEAL_TAG_BYTES

    @property
    def next_seq(self) -> int:
        """Unwrapped number of the next block; after the end, one past the last."""
        return self._highest + 1 if self._end_seq is None else self._end_seq

    @property
    def next_time(self) -> int:
        """Unwrapped time of the next block, as far as it can be foretold."""
        return self._next_time

    @property
    def guard_ns(self) -> int:
        """How long a missing block is waited for before it is asked for."""
        return self._timers.guard_ns

    def in_turn(self, body: bytes, now_ns: int) -> tuple[int, int] | None:
        """A BLOCK has come. Where it is the next one, full and at its time, as most are, it
        is taken: gives its counters, unwrapped. Else None: `block` is to take it.

        It does what `block` does, at half the cost.
        """
        seq, time = self._highest + 1, self._next_time
        if (
            len(body) != self._full_body_bytes
            or not body.startswith(pack_block_head(wrap(seq), wrap(time)))
            or self._end_seq is not None
            or self._solver.has_rows
            or not self._tracker.follow(seq, time, now_ns)
            or not self._blocks.affords(now_ns)
        ):
            return None
        self._timers.arrived(seq, now_ns)
        self._unsolved.append((seq, time, body))
        self._next_time = time + self._block_frames
        self._note(seq)
        return seq, time

    def block(self, body: bytes, now_ns: int, *, resent: bool) -> list[Found]:
        """A BLOCK or RESEND has come: gives what is new by it, itself first.

        Raises ProtocolError when it is too short to be one.
        """
        block = parse_block(body)
        # Of sealed sound nobody here knows whole frames, so none is asked for.
        placed = None
        if len(block.payload) <= MAX_PAYLOAD_BYTES:
            placed = self._tracker.place(block.seq, block.time, 0, now_ns)
        if placed is None or not self._is_new(placed[0]) or not self._blocks.affords(now_ns):
            self.dropped += 1
            return []
        seq, time = placed
        silent = len(block.payload) <= (SEAL_TAG_BYTES if self._sealed else 0)
        if seq > self._highest:
            self._next_time = time + (0 if silent else self._block_frames)
        self._timers.arrived(seq, now_ns, resent=resent)
        if silent and seq > self._highest:
            self._timers.pause()
        found = [self._find(seq, time, block.payload, recovered=resent)]
        if not self._solver.has_rows:
            self._unsolved.append((seq, time, body))
            return found
        return found + self._take(self._solver.block(seq, time, block.payload), now_ns)

    def repair(self, body: bytes, now_ns: int) -> list[Found]:
        """A REPAIR has come: gives what is solved by it. Raises ProtocolError as `block`."""
        row = parse_repair(body)
        if not self._rows.affords(now_ns):
            self.dropped += 1
            return []
        seq = unwrap(row.seq, self._tracker.newest.seq)
        for each_seq, each_time, each_body in self._unsolved:
            self._solver.block(each_seq, each_time, each_body[BLOCK_HEAD_BYTES:])
        self._unsolved.clear()
        return self._take(self._solver.repair(seq, row.width, row.row), now_ns)

    def end(self, seq: int, now_ns: int) -> int:
        """The stream ends before block `seq` (u32): gives that, unwrapped.

        One that is nowhere near is taken to be the next.
        """
        try:
            self._end_seq = self._tracker.place_end(seq, now_ns)
        except ProtocolError:
            self._end_seq = self._highest + 1
        return self._end_seq

    def set_round_trip(self, rto_ns: int) -> None:
        """How long an answer may take, as the talker tells."""
        self._timers.set_round_trip(srtt_ns=rto_ns, rto_ns=rto_ns)

    def timeout_ns(self) -> int | None:
        """When `requests` has something to ask for, or None."""
        return self._timers.timeout_ns()

    def requests(self, now_ns: int) -> list[Request]:
        """What to ask the talker for now."""
        return self._timers.handle_timeout(now_ns)

    def _is_new(self, seq: int) -> bool:
        if self._end_seq is not None and seq >= self._end_seq:
            return False
        return seq not in self._seen and seq > self._highest - self._kept_blocks

    def _find(self, seq: int, time: int, payload: bytes, *, recovered: bool) -> Found:
        late = seq < self._highest
        self._note(seq)
        return Found(seq, time, payload, recovered, late)

    def _note(self, seq: int) -> None:
        self._seen.add(seq)
        if seq > self._highest:
            self._highest = seq
            if len(self._seen) > 2 * self._kept_blocks:
                self._seen = {each for each in self._seen if each > seq - self._kept_blocks}

    def _take(self, solved: Sequence[tuple[int, int, bytes]], now_ns: int) -> list[Found]:
        found = []
        for seq, time, payload in solved:
            if self._is_new(seq) and (seq, time) == self._tracker.place(
                wrap(seq), wrap(time), 0, now_ns
            ):
                self._timers.repaired(seq)
                found.append(self._find(seq, time, payload, recovered=True))
        return found
