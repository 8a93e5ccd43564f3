"""One stream to many: each of its blocks sealed for each listener, and their repair.

Source: protocol 1, section 7. A `Downlink` is one session as the thread that sends sees
it: its key and numbers, its way, what its reports tell. A `Fanout` is one stream; for each
downlink that it goes to it has a `Leg`. Legs are served in a fixed order, so that a place
in it is an offset and not jitter; their repair rows are staggered by it. The same serves a
server's own stream, one that a relay passes on, and a talker's, whose one listener is the
server. What is made for each leg and block is the hot path of a server.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

from echowarp.crypto.limits import NumbersSpent
from echowarp.session.datagrams import DatagramSender
from echowarp.session.rate_policy import RatePolicy, RepairRate
from echowarp.session.reports import LossEstimate
from echowarp.session.resends import BlockRing, Resends
from echowarp.wire.datagram import DatagramType, pack_block, parse_block
from echowarp.wire.feedback import (
    MAX_REPAIR_WIDTH,
    ClockAnswer,
    ClockAsk,
    Repair,
    Report,
    Request,
    pack_clock_answer,
    pack_repair,
)
from echowarp.wire.serial import unwrap, wrap

WayT = TypeVar("WayT", bound=Hashable)

# Plain numbers: members of an enumeration cost a lookup of their own, for every datagram.
_BLOCK, _RESEND, _REPAIR = map(int, (DatagramType.BLOCK, DatagramType.RESEND, DatagramType.REPAIR))


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
        """The stream's next block, counters unwrapped; after a gap the rows begin anew."""

    def row(self, width: int) -> Row | None:
        """The row over the newest blocks, None before there are two."""


Outgoing: TypeAlias = tuple[int, WayT, bytes]
"""Connection, way and datagram for one listener. A plain tuple: a named one costs three
times as much. An empty datagram: its numbers are spent, its session must end."""


class Leg(Generic[WayT]):
    """One stream on its way to one listener. place: it staggers the repair rows."""

    __slots__ = (
        "downlink",
        "every_blocks",
        "fanout",
        "place",
        "policy",
        "resends",
        "stream",
        "target_ns",
    )

    def __init__(
        self, fanout: Fanout[WayT], downlink: Downlink[WayT], stream: int, place: int, now_ns: int
    ) -> None:
        self.fanout = fanout
        self.downlink = downlink
        self.stream = stream
        self.place = place
        self.resends = fanout.resends(now_ns)
        self.policy = RatePolicy(now_ns)
        self.every_blocks = self.policy.rate.every_blocks
        """Of the policy's rate, kept because it is asked for with each block."""
        self.target_ns: int | None = None
        """The listener's delay, once it has told."""


class Downlink(Generic[WayT]):
    """One session to send to. direction: 0 to a client, CLIENT_BIT to a server."""

    __slots__ = ("connection", "direction", "legs", "losses", "rto_ns", "sender", "way")

    def __init__(self, connection: int, sender: DatagramSender, direction: int = 0) -> None:
        self.connection = connection
        self.sender = sender
        self.direction = direction
        self.way: WayT | None = None
        """None: it is sent nothing."""
        self.losses = LossEstimate()
        self.rto_ns: int | None = None
        """What it says that an answer may take."""
        self.legs: dict[int, Leg[WayT]] = {}
        """By their stream byte."""

    def request(self, stream: int, request: Request, now_ns: int) -> Iterator[Outgoing[WayT]]:
        """It misses blocks of a stream: gives those that are kept and its budget allows."""
        leg = self.legs.get(stream)
        if leg is None or self.way is None:
            return
        for resend in leg.resends.answer(request, now_ns):
            # Whoever was told that the numbers are spent may have paused it.
            if self.way is None:
                return
            leg.fanout.blocks_resent += 1
            yield self.seal(self.way, _RESEND, stream, resend.body)

    def report(self, report: Report, now_ns: int) -> None:
        """It tells how it fares: sets the repair rates of its legs."""
        last_number = self.sender.sent - 1
        if not self.losses.receive(report, last_number=last_number, now_ns=now_ns):
            return
        self.rto_ns = report.rto_ns
        for leg in self.legs.values():
            leg.resends.set_round_trip(report.rto_ns)
        for entry in {entry.stream: entry for entry in reversed(report.entries)}.values():
            leg_told = self.legs.get(entry.stream)
            if leg_told is not None:
                leg_told.target_ns = entry.target_ns
                rate = leg_told.policy.report(
                    self.losses,
                    target_ns=entry.target_ns,
                    guard_ns=entry.guard_ns,
                    rto_ns=report.rto_ns,
                    now_ns=now_ns,
                )
                leg_told.every_blocks = rate.every_blocks

    def clock(self, ask: ClockAsk, *, received_ns: int, now_ns: int) -> Iterator[Outgoing[WayT]]:
        """It asks for the time; received_ns: when its datagram came."""
        if self.way is not None:
            answer = pack_clock_answer(ClockAnswer(ask.t1_ns, received_ns, now_ns))
            yield self.seal(self.way, DatagramType.CLOCK_ANSWER, 0, answer)

    def seal(self, way: WayT, kind: int, stream: int, body: bytes) -> Outgoing[WayT]:
        """One datagram under the next number, or an empty one when they are spent."""
        try:
            datagram = self.sender.seal(kind | self.direction, stream, body)
        except NumbersSpent:
            datagram = b""
        return self.connection, way, datagram


class Fanout(Generic[WayT]):
    """The last second of one stream, and its legs. block_ns: how long a full block lasts."""

    def __init__(self, *, block_ns: int, rows: RowMaker) -> None:
        self.blocks_sent = 0
        """Datagrams with a block, over all legs; resends are not counted."""
        self.blocks_resent = 0
        """Blocks sent again on request, over all legs."""
        self.rows_sent = 0
        """Datagrams with a repair row, over all legs."""
        self._block_ns = block_ns
        self._rows = rows
        self._ring = BlockRing(block_ns=block_ns)
        self._legs: tuple[Leg[WayT], ...] = ()
        self._joined = 0
        self._newest_time = 0
        self._rows_reach = -1
        """The newest block that the rows have been given: most streams need none."""

    @property
    def legs(self) -> tuple[Leg[WayT], ...]:
        """Its legs, in the order in which they are served."""
        return self._legs

    def resends(self, now_ns: int) -> Resends:
        """The budget of a new leg."""
        return Resends(self._ring, block_ns=self._block_ns, now_ns=now_ns)

    def add(self, downlink: Downlink[WayT], stream: int, now_ns: int) -> None:
        """The stream goes to that session from now on, under that stream byte."""
        leg = downlink.legs[stream] = Leg(self, downlink, stream, self._joined, now_ns)
        self._joined += 1
        self._legs = (*self._legs, leg)

    def remove(self, leg: Leg[WayT]) -> None:
        """The stream goes there no more."""
        del leg.downlink.legs[leg.stream]
        # Replaced whole: a block may be on its way along the old one.
        self._legs = tuple(each for each in self._legs if each is not leg)

    def has(self, seq: int) -> bool:
        """Whether block `seq` (unwrapped) is kept."""
        return self._ring.get(seq) is not None

    def send(self, seq: int, time: int, payload: bytes) -> Iterator[Outgoing[WayT]]:
        """The stream's next block, counters unwrapped, the number above all before it.

        Gives the block and, as each leg's policy has it, a repair row for each leg,
        sealed as it is asked for.
        """
        return self.pass_on(seq, time, pack_block(wrap(seq), wrap(time), payload))

    def pass_on(
        self, seq: int, time: int, body: bytes, *, repair: bool = True
    ) -> Iterator[Outgoing[WayT]]:
        """The same for a block that has come as the body of one, counters wrapped.

        repair: False leaves the rows out.
        """
        self._ring.put(seq, body)
        self._newest_time = time
        return self._to_all(seq, body, repair)

    def send_late(
        self, seq: int, time: int, payload: bytes, *, recovered: bool
    ) -> Iterator[Outgoing[WayT]]:
        """A block that comes after later ones, sent on at once.

        recovered: it was lost and came by a resend or by repair, and goes as a RESEND, so
        that nobody takes it for one that was merely overtaken.
        """
        body = pack_block(wrap(seq), wrap(time), payload)
        self._ring.put(seq, body)
        if self._ring.highest - seq < MAX_REPAIR_WIDTH:
            # A gap is filled: the rows reach over it again.
            self._rows_reach = -1
        return self._late_to_all(_RESEND if recovered else _BLOCK, body)

    def _late_to_all(self, kind: int, body: bytes) -> Iterator[Outgoing[WayT]]:
        for leg in self._legs:
            if leg.downlink.way is not None:
                self.blocks_sent += 1
                yield leg.downlink.seal(leg.downlink.way, kind, leg.stream, body)

    def _to_all(self, seq: int, body: bytes, repair: bool) -> Iterator[Outgoing[WayT]]:
        rows: dict[RepairRate, bytes | None] = {}
        for leg in self._legs:
            downlink = leg.downlink
            way = downlink.way
            # Whoever was told that a session must end may have paused or removed it.
            if way is None:
                continue
            # As `Downlink.seal` does, without a call of its own for every block.
            try:
                datagram = downlink.sender.seal(_BLOCK | downlink.direction, leg.stream, body)
                self.blocks_sent += 1
            except NumbersSpent:
                datagram = b""
            yield downlink.connection, way, datagram
            every = leg.every_blocks if repair else 0
            if every and (seq + leg.place) % every == 0 and downlink.way is not None:
                rate = leg.policy.rate
                if rate not in rows:
                    rows[rate] = self._row(rate)
                row = rows[rate]
                if row is not None:
                    self.rows_sent += 1
                    yield downlink.seal(way, _REPAIR, leg.stream, row)

    def _fill_rows(self) -> None:
        """Gives the rows what they have not had yet, as far back as one can reach."""
        newest = self._ring.highest
        first = max(self._rows_reach, newest - MAX_REPAIR_WIDTH) + 1
        for seq in range(first, newest + 1):
            body = self._ring.get(seq)
            if body is not None:
                block = parse_block(body)
                self._rows.add(seq, unwrap(block.time, self._newest_time), block.payload)
        self._rows_reach = newest

    def _row(self, rate: RepairRate) -> bytes | None:
        self._fill_rows()
        row = self._rows.row(rate.width)
        return None if row is None else pack_repair(Repair(wrap(row.seq), row.width, row.sum))
