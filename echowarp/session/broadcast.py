"""The sending side of a stream: one block in, sealed datagrams for each listener out.

Source: protocol 1, section 7. One thread owns a `Broadcast`, and with it the
numbers and keys of all its listeners. Listeners are served in a fixed order, so
that a place in it is an offset and not jitter; their repair rows are staggered by it.
What is made for each listener and block is the hot path of a server.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

from echowarp.crypto.limits import NumbersSpent
from echowarp.session.datagrams import DatagramSender
from echowarp.session.rate_policy import RatePolicy, RepairRate
from echowarp.session.reports import LossEstimate
from echowarp.session.resends import BlockRing, Resends
from echowarp.wire.datagram import DatagramType, pack_block
from echowarp.wire.feedback import (
    ClockAnswer,
    ClockAsk,
    Repair,
    Report,
    Request,
    pack_clock_answer,
    pack_repair,
)
from echowarp.wire.serial import wrap

WayT = TypeVar("WayT", bound=Hashable)

SERVER_STREAM = 0
"""The stream byte of the server's own source."""


class Row(Protocol):
    """A repair row over blocks seq - width + 1 .. seq."""

    @property
    def seq(self) -> int:
        """The newest block that it covers, unwrapped."""

    @property
    def width(self) -> int:
        """How many blocks it covers."""

    @property
    def sum(self) -> bytes:
        """Their weighted sum."""


class RowMaker(Protocol):
    """Makes repair rows of opaque payloads."""

    def add(self, seq: int, time: int, payload: bytes) -> None:
        """The stream's next block, counters unwrapped."""

    def row(self, width: int) -> Row | None:
        """The row over the newest blocks, None before there are two."""


Outgoing: TypeAlias = tuple[int, WayT, bytes]
"""Connection, way and datagram for one listener. A plain tuple: a named one costs three
times as much. An empty datagram: its numbers are spent, its session must end."""


class _Listener(Generic[WayT]):
    """What is kept for one listener. place: it staggers the repair rows."""

    __slots__ = (
        "connection",
        "every_blocks",
        "losses",
        "place",
        "policy",
        "resends",
        "sender",
        "way",
    )

    def __init__(
        self, connection: int, place: int, sender: DatagramSender, resends: Resends, now_ns: int
    ) -> None:
        self.connection = connection
        self.place = place
        self.sender = sender
        self.resends = resends
        self.way: WayT | None = None
        self.losses = LossEstimate()
        self.policy = RatePolicy(now_ns)
        self.every_blocks = self.policy.rate.every_blocks
        """Of the policy's rate, kept because it is asked for with each block."""


class Broadcast(Generic[WayT]):
    """Position of the stream, its last second, and its listeners.

    first_seq, first_time: where the stream begins, 0..2^32-1. A server draws
    them at random, so that a client that comes back can tell the same stream
    from one that was started anew. block_ns: how long a full block lasts.
    """

    def __init__(self, *, first_seq: int, first_time: int, block_ns: int, rows: RowMaker) -> None:
        self.seq = first_seq
        """Unwrapped sequence number of the next block."""
        self.time = first_time
        """Unwrapped time of the next block, in frames."""
        self.blocks_sent = 0
        """Datagrams with a block, over all listeners; resends are not counted."""
        self.blocks_resent = 0
        """Blocks sent again on request, over all listeners."""
        self.rows_sent = 0
        """Datagrams with a repair row, over all listeners."""
        self._block_ns = block_ns
        self._rows = rows
        self._ring = BlockRing(block_ns=block_ns)
        self._listeners: dict[int, _Listener[WayT]] = {}
        self._open: tuple[_Listener[WayT], ...] = ()
        self._joined = 0

    @property
    def open_listeners(self) -> int:
        """How many listeners are being sent to."""
        return len(self._open)

    def add(self, connection: int, sender: DatagramSender, now_ns: int) -> None:
        """A listener has joined; it is sent nothing before `open`."""
        resends = Resends(self._ring, block_ns=self._block_ns, now_ns=now_ns)
        self._listeners[connection] = _Listener(connection, self._joined, sender, resends, now_ns)
        self._joined += 1

    def open(self, connection: int, way: WayT) -> None:
        """Streams to that listener by `way` from now on."""
        self._set_way(connection, way)

    def pause(self, connection: int) -> None:
        """Streams no more to that listener until it is opened again."""
        self._set_way(connection, None)

    def remove(self, connection: int) -> None:
        """A listener has left."""
        self._set_way(connection, None)
        self._listeners.pop(connection, None)

    def _set_way(self, connection: int, way: WayT | None) -> None:
        held = self._listeners.get(connection)
        if held is None:
            return
        was_open, held.way = held.way is not None, way
        if was_open != (way is not None):
            # Replaced whole: a block may be on its way along the old one.
            self._open = tuple(each for each in self._listeners.values() if each.way is not None)

    def block(self, payload: bytes, *, frames: int, lost_frames: int) -> Iterator[Outgoing[WayT]]:
        """Moves the stream on by one block.

        frames: length of the payload; lost_frames: what the source missed before it.
        Gives the block and, as each listener's policy has it, a repair row for each
        open listener, sealed as it is asked for.
        """
        seq, time = self.seq, self.time + lost_frames
        body = pack_block(wrap(seq), wrap(time), payload)
        self._ring.put(seq, body)
        self._rows.add(seq, time, payload)
        self.seq += 1
        self.time = time + frames
        return self._to_all(seq, body)

    def skip(self, *, frames: int, lost_frames: int) -> None:
        """Moves the stream on by a block that nobody is sent and nobody can have again."""
        self.seq += 1
        self.time += lost_frames + frames

    def _to_all(self, seq: int, body: bytes) -> Iterator[Outgoing[WayT]]:
        rows: dict[RepairRate, bytes | None] = {}
        for held in self._open:
            # Whoever was told that a session must end may have paused or removed it.
            if held.way is None:
                continue
            outgoing = self._seal(held, held.way, DatagramType.BLOCK, body)
            self.blocks_sent += outgoing[2] != b""
            yield outgoing
            every = held.every_blocks
            if every and (seq + held.place) % every == 0 and held.way is not None:
                rate = held.policy.rate
                if rate not in rows:
                    rows[rate] = self._row(rate)
                row = rows[rate]
                if row is not None:
                    self.rows_sent += 1
                    yield self._seal(held, held.way, DatagramType.REPAIR, row)

    def _row(self, rate: RepairRate) -> bytes | None:
        row = self._rows.row(rate.width)
        return None if row is None else pack_repair(Repair(wrap(row.seq), row.width, row.sum))

    def request(self, connection: int, request: Request, now_ns: int) -> Iterator[Outgoing[WayT]]:
        """A listener misses blocks: gives those that are kept and that its budget allows."""
        held = self._listeners.get(connection)
        if held is None or held.way is None:
            return
        for resend in held.resends.answer(request, now_ns):
            # Whoever was told that the session must end may have paused it.
            if held.way is None:
                return
            self.blocks_resent += 1
            yield self._seal(held, held.way, DatagramType.RESEND, resend.body)

    def report(self, connection: int, report: Report, now_ns: int) -> None:
        """A listener tells how it fares: sets its repair rate."""
        held = self._listeners.get(connection)
        if held is None or not held.losses.receive(
            report, last_number=held.sender.sent - 1, now_ns=now_ns
        ):
            return
        held.resends.set_round_trip(report.rto_ns)
        for entry in report.entries:
            if entry.stream == SERVER_STREAM:
                rate = held.policy.report(
                    held.losses,
                    target_ns=entry.target_ns,
                    guard_ns=entry.guard_ns,
                    rto_ns=report.rto_ns,
                    now_ns=now_ns,
                )
                held.every_blocks = rate.every_blocks
                return

    def clock(
        self, connection: int, ask: ClockAsk, *, received_ns: int, now_ns: int
    ) -> Iterator[Outgoing[WayT]]:
        """A listener asks for the time; received_ns: when its datagram came."""
        held = self._listeners.get(connection)
        if held is not None and held.way is not None:
            answer = pack_clock_answer(ClockAnswer(ask.t1_ns, received_ns, now_ns))
            yield self._seal(held, held.way, DatagramType.CLOCK_ANSWER, answer)

    def _seal(
        self, held: _Listener[WayT], way: WayT, kind: DatagramType, body: bytes
    ) -> Outgoing[WayT]:
        try:
            datagram = held.sender.seal(kind, SERVER_STREAM, body)
        except NumbersSpent:
            datagram = b""
        return held.connection, way, datagram
