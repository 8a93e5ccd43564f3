"""The streams of talkers: taken in, and passed on to those who hear them.

Source: protocol 1, section 7. A block goes on as it comes, at once and in the order of
coming, its `seq` and `time` kept, under each listener's own stream byte, key and number.
What was lost on the way here and is found again goes on too. Losses on the way down are
each leg's own business. One thread owns a `Relay` and the downlinks in it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Generic, TypeAlias, TypeVar

from echowarp.errors import ProtocolError
from echowarp.session.fanout import Downlink, Fanout, Leg, Outgoing, RowMaker
from echowarp.session.relay_member import Member, Overheard, ReportTurns, Talk
from echowarp.session.reports import REPORT_INTERVAL_NS
from echowarp.session.uplink import Found, Solver, Uplink
from echowarp.wire.datagram import BLOCK_HEAD_BYTES, CLIENT_BIT, DatagramType
from echowarp.wire.records import Anchor, End, EndReason, Stream
from echowarp.wire.serial import wrap

MS = 1_000_000
LINGER_NS = 2_000 * MS
"""How long after its end a stream's blocks are still asked for and answered."""
MAX_LINGERING = 2
"""Ended streams that are kept so for one talker."""
ANCHOR_PAUSE_NS = 500 * MS
"""A talker has one for each second; what comes sooner is not multiplied by the listeners."""
ANCHOR_REACH_NS = 10_000 * MS
"""A capture time that is further from now is none."""
LATEST_LOOK_NS = 200 * MS
"""A look through all the talkers for what is missing comes this often at least: a stream
that begins to flow in turn has no other reason for one."""

TALK_TYPES = frozenset(
    int(kind) | CLIENT_BIT
    for kind in (DatagramType.BLOCK, DatagramType.RESEND, DatagramType.REPAIR)
)
"""Types of datagrams that `Relay.receive` takes."""
_BLOCK, _RESEND, _REPAIR = map(int, (DatagramType.BLOCK, DatagramType.RESEND, DatagramType.REPAIR))

WayT = TypeVar("WayT", bound=Hashable)
StreamRecord: TypeAlias = Stream | Anchor | End
"""What is told of a talker's stream."""


class Relay(Generic[WayT]):
    """Passes streams on. rows, solver: make what a new stream needs of each; the solver is
    told where the stream begins, its first seq and time."""

    def __init__(
        self, *, rows: Callable[[], RowMaker], solver: Callable[[int, int], Solver]
    ) -> None:
        self.dropped = 0
        """Datagrams of no stream, or with nothing in them."""
        self.disturbed = False
        """Something came out of its turn: `timeout_ns` may tell of an earlier time."""
        self.hurried = False
        """More comes than can be passed on in time. What was said goes first: no repair rows
        are made, and it is not looked for what is missing, most of which waits to be read."""
        self._make_rows = rows
        self._make_solver = solver
        self._members: dict[int, Member[WayT]] = {}
        self._reports: ReportTurns[WayT] = ReportTurns()
        self._look_ns: int | None = None
        self._out: list[tuple[int, StreamRecord]] = []
        self._overheard: frozenset[int] = frozenset()
        self._heard: list[Overheard] = []

    def join(self, downlink: Downlink[WayT], user: int) -> None:
        """A session began. Opening and pausing its way is its owner's business."""
        self._members[downlink.connection] = Member(downlink, user)

    def leave(self, connection: int, now_ns: int) -> None:
        """A session ended: what it said ends, and it hears nothing more."""
        member = self._members.pop(connection, None)
        if member is None:
            return
        for talk in tuple(member.talks.values()):
            self._close(member, talk, EndReason.STOPPED, now_ns)
        for leg in tuple(member.downlink.legs.values()):
            if leg.stream != 0:
                leg.fanout.remove(leg)

    def talk(self, connection: int, stream: Stream, now_ns: int) -> None:
        """A client asks to send a stream: it is told the byte to use, or END."""
        member = self._members.get(connection)
        if member is None:
            return
        if member.current is not None:
            self._end(member, member.current, None, EndReason.REPLACED, now_ns)
        byte = None
        try:
            uplink = Uplink(stream, self._make_solver(stream.seq, stream.time), now_ns)
            byte = member.bytes.take(now_ns)
        except ProtocolError:
            self.dropped += 1
        if byte is None:
            refusal = End(stream=0, seq=stream.seq, reason=EndReason.STOPPED)
            self._out.append((connection, refusal))
            return
        announced = replace(stream, stream=byte, user=member.user)
        fanout: Fanout[WayT] = Fanout(block_ns=uplink.block_ns, rows=self._make_rows())
        member.current = member.talks[byte] = Talk(announced, uplink, fanout)
        self._out.append((connection, announced))
        self._reports.begin(member, now_ns)
        self.disturbed = True
        self._sync(member, now_ns)

    def end(self, connection: int, end: End, now_ns: int) -> None:
        """A talker's stream ends: its listeners are told, and get what it still has."""
        member = self._members.get(connection)
        talk = None if member is None else member.talks.get(end.stream)
        if member is not None and talk is not None and talk.over_ns is None:
            self._end(member, talk, end.seq, end.reason, now_ns)

    def anchor(self, connection: int, anchor: Anchor, now_ns: int) -> None:
        """A talker tells when a frame of its stream was captured: its listeners are told, so
        that each can know how long the sound was on its way.

        It tells it by our clock, which it measures with CLOCK as every listener does: it
        goes on as it is, but for the stream byte. now_ns is by the same clock.
        """
        member = self._members.get(connection)
        talk = None if member is None else member.talks.get(anchor.stream)
        if talk is None or talk.over_ns is not None or now_ns < talk.anchor_ns:
            return
        if abs(anchor.captured - now_ns) > ANCHOR_REACH_NS:
            self.dropped += 1
            return
        talk.anchor_ns = now_ns + ANCHOR_PAUSE_NS
        for leg in talk.fanout.legs:
            told = replace(anchor, stream=leg.stream)
            self._out.append((leg.downlink.connection, told))

    def hear(self, connection: int, listeners: Iterable[int], now_ns: int) -> None:
        """What that session says goes to these, by connection, and to nobody else."""
        member = self._members.get(connection)
        if member is not None:
            member.listeners = frozenset(listeners) - {connection}
            self._sync(member, now_ns)

    def overhear(self, connections: Iterable[int]) -> None:
        """What those say is given to `heard` as well: to be played here."""
        before, self._overheard = self._overheard, frozenset(connections)
        for connection in sorted(before - self._overheard):
            member = self._members.get(connection)
            if member is not None and member.current is not None:
                talk = member.current
                self._stop_hearing(connection, talk, talk.uplink.next_seq)

    def heard(self) -> list[Overheard]:
        """Drains what came of those that are overheard."""
        heard, self._heard = self._heard, []
        return heard

    def numbered(self, connection: int, number: int, now_ns: int) -> None:
        """A datagram of that number came from a session: the talker is told of losses."""
        member = self._members.get(connection)
        if member is None:
            return
        member.receipts.accepted(number, now_ns)
        if not member.talks and now_ns >= member.report_ns:
            # Nobody is told, but what is behind need not be kept.
            member.report_ns = now_ns + REPORT_INTERVAL_NS
            member.receipts.tally(now_ns, REPORT_INTERVAL_NS)

    def receive(
        self, connection: int, kind: int, stream: int, body: bytes, now_ns: int
    ) -> Iterator[Outgoing[WayT]]:
        """A talker's datagram, opened: gives what goes on to its listeners.

        kind: among TALK_TYPES; stream: the talker's byte.
        """
        member = self._members.get(connection)
        talk = None if member is None else member.talks.get(stream)
        if member is None or talk is None:
            self.dropped += 1
            return iter(())
        kind &= ~CLIENT_BIT
        if kind == _BLOCK and (placed := talk.uplink.in_turn(body, now_ns)) is not None:
            seq, time = placed
            if connection in self._overheard:
                found = Found(seq, time, body[BLOCK_HEAD_BYTES:], recovered=False, late=False)
                self._heard.append(Overheard(connection, talk.announced, found))
            return talk.fanout.pass_on(seq, time, body, repair=not self.hurried)
        return self._receive(member, talk, kind, body, now_ns)

    def _receive(
        self, member: Member[WayT], talk: Talk[WayT], kind: int, body: bytes, now_ns: int
    ) -> Iterator[Outgoing[WayT]]:
        """What does not come in its turn."""
        self.disturbed = True
        connection = member.downlink.connection
        try:
            if kind == _REPAIR:
                found = talk.uplink.repair(body, now_ns)
            else:
                found = talk.uplink.block(body, now_ns, resent=kind == _RESEND)
        except ProtocolError:
            self.dropped += 1
            return
        for each in found:
            if connection in self._overheard:
                self._heard.append(Overheard(connection, talk.announced, each))
            if each.late:
                yield from talk.fanout.send_late(
                    each.seq, each.time, each.payload, recovered=each.recovered
                )
            else:
                yield from talk.fanout.send(each.seq, each.time, each.payload)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        look_ns = self._next_look_ns() if self.disturbed else self._look_ns
        times = (look_ns, self._reports.timeout_ns())
        return min((each for each in times if each is not None), default=None)

    def _next_look_ns(self) -> int | None:
        due = []
        for member in self._members.values():
            for talk in member.talks.values():
                missing_ns = talk.uplink.timeout_ns()
                if missing_ns is not None:
                    due.append(missing_ns)
                if talk.over_ns is not None:
                    due.append(talk.over_ns)
        return min(due, default=None)

    def handle_timeout(self, now_ns: int) -> Iterator[Outgoing[WayT]]:
        """Asks talkers for what is missing, tells them of losses, forgets what is over."""
        look = self.disturbed or (self._look_ns is not None and now_ns >= self._look_ns)
        hurried, self.hurried = self.hurried, False
        if look and not hurried:
            self.disturbed = False
            yield from self._look(now_ns)
        for member in self._reports.due(now_ns):
            # Stream bytes that ran short may have come free.
            self._sync(member, now_ns)
            yield from member.report(now_ns)

    def _look(self, now_ns: int) -> Iterator[Outgoing[WayT]]:
        for member in tuple(self._members.values()):
            for talk in tuple(member.talks.values()):
                if talk.over_ns is not None and now_ns >= talk.over_ns:
                    self._close(member, talk, EndReason.STOPPED, now_ns)
                else:
                    yield from member.ask(talk, now_ns)
        next_ns = self._next_look_ns()
        talking = any(member.talks for member in self._members.values())
        latest_ns = now_ns + LATEST_LOOK_NS if talking else None
        times = (each for each in (next_ns, latest_ns) if each is not None)
        self._look_ns = min(times, default=None)

    def to_send(self) -> list[tuple[int, StreamRecord]]:
        """Drains (connection, record)."""
        out, self._out = self._out, []
        return out

    def _sync(self, member: Member[WayT], now_ns: int) -> None:
        """Makes the legs of a talker's stream those of its listeners."""
        talk = member.current
        if talk is None:
            return
        for leg in talk.fanout.legs:
            if leg.downlink.connection not in member.listeners:
                self._cut(talk, leg, EndReason.STOPPED, now_ns)
        own = member.downlink.connection
        reached = {leg.downlink.connection for leg in talk.fanout.legs}
        for connection in sorted(member.listeners - reached):
            listener = self._members.get(connection)
            byte = None if listener is None else listener.bytes.take(now_ns, own)
            if listener is not None and byte is not None:
                talk.fanout.add(listener.downlink, byte, now_ns)
                seq, time = wrap(talk.uplink.next_seq), wrap(talk.uplink.next_time)
                stream = replace(talk.announced, stream=byte, seq=seq, time=time)
                self._out.append((connection, stream))

    def _cut(self, talk: Talk[WayT], leg: Leg[WayT], reason: EndReason, now_ns: int) -> None:
        connection = leg.downlink.connection
        talk.fanout.remove(leg)
        listener = self._members.get(connection)
        if listener is not None:
            listener.bytes.free(leg.stream, now_ns)
            # Where it has ended already they were told.
            if talk.over_ns is None:
                seq = wrap(talk.uplink.next_seq)
                self._out.append((connection, End(stream=leg.stream, seq=seq, reason=reason)))

    def _end(
        self,
        member: Member[WayT],
        talk: Talk[WayT],
        seq: int | None,
        reason: EndReason,
        now_ns: int,
    ) -> None:
        """A stream ends before block `seq` (u32; None: the next), and lingers."""
        end_seq = talk.uplink.end(wrap(talk.uplink.next_seq) if seq is None else seq, now_ns)
        for leg in talk.fanout.legs:
            end = End(stream=leg.stream, seq=wrap(end_seq), reason=reason)
            self._out.append((leg.downlink.connection, end))
        connection = member.downlink.connection
        if connection in self._overheard:
            self._stop_hearing(connection, talk, end_seq)
        talk.over_ns = now_ns + LINGER_NS
        self.disturbed = True
        if member.current is talk:
            member.current = None
        lingering = [each for each in member.talks.values() if each.over_ns is not None]
        for oldest in lingering[:-MAX_LINGERING]:
            self._close(member, oldest, reason, now_ns)

    def _close(
        self, member: Member[WayT], talk: Talk[WayT], reason: EndReason, now_ns: int
    ) -> None:
        for leg in talk.fanout.legs:
            self._cut(talk, leg, reason, now_ns)
        connection = member.downlink.connection
        if talk.over_ns is None and connection in self._overheard:
            self._stop_hearing(connection, talk, talk.uplink.next_seq)
        del member.talks[talk.announced.stream]
        member.bytes.free(talk.announced.stream, now_ns)
        if member.current is talk:
            member.current = None

    def _stop_hearing(self, connection: int, talk: Talk[WayT], seq: int) -> None:
        self._heard.append(Overheard(connection, talk.announced, seq))
