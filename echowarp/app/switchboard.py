"""Passes what talkers say on to who hears them, beside the server's own stream.

It runs on the thread that sends, which alone has the keys and numbers of all sessions:
the engine's, or without a source the one that receives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from echowarp.app.sender import (
    Block,
    Counters,
    Join,
    Leave,
    Open,
    Pause,
    Sender,
    SenderCommand,
    SessionCommand,
)
from echowarp.media.format import NS_PER_S
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.net.udp_server import UdpSender, Way
from echowarp.session.fanout import Downlink, Outgoing
from echowarp.session.gate import Accepted, Feedback
from echowarp.session.relay import TALK_TYPES, Relay, StreamRecord
from echowarp.session.relay_member import Overheard
from echowarp.wire.feedback import Report, Request
from echowarp.wire.records import Anchor, End, Stream

MAX_BACKLOG_NS = NS_PER_S // 5
"""What waits longer than this for its turn is of no use to who hears it."""
LOOK_EVERY_NS = NS_PER_S // 500
"""How soon it is looked for what is missing, after blocks that were not the next."""
REST_NS = NS_PER_S // 1000
MANY_DATAGRAMS = 32
"""So many wait together only for one who does not keep up."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A client asks to send a stream."""

    connection: int
    stream: Stream


@dataclass(frozen=True, slots=True)
class EndTalk:
    """A client ends a stream of its own."""

    connection: int
    end: End


@dataclass(frozen=True, slots=True)
class Captured:
    """A client tells when it captured a frame of a stream of its own."""

    connection: int
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Hear:
    """What that session says goes to these connections, and to nobody else."""

    connection: int
    listeners: frozenset[int]


@dataclass(frozen=True, slots=True)
class Overhear:
    """What these connections say is played here as well."""

    connections: frozenset[int]


@dataclass(frozen=True, slots=True)
class Incoming:
    """Datagrams of sessions, in the order in which they came."""

    datagrams: Sequence[Accepted]


TalkCommand: TypeAlias = Talk | EndTalk | Captured | Hear | Overhear | Incoming


class TalkCounters(NamedTuple):
    """What became of the datagrams of talkers.

    forwarded: datagrams that were passed on, over all listeners, with their repair;
    dropped: of no stream, or too late.
    """

    forwarded: int = 0
    dropped: int = 0


class Loudspeaker(Protocol):
    """Plays what talkers say."""

    def play(self, heard: Iterable[Overheard], now_ns: int) -> None:
        """What has come of their streams, in order."""


class Switchboard:
    """All sessions of a server with talkers.

    sender: sends the server's own stream, None without one. Called on the thread that
    owns it: exhausted with a connection whose numbers are spent, told with what
    sessions are to be told. loudspeaker: where those who are overheard are played.
    """

    def __init__(
        self,
        udp: UdpSender,
        sender: Sender | None,
        *,
        exhausted: Callable[[int], None],
        told: Callable[[Sequence[tuple[int, StreamRecord]]], None],
        loudspeaker: Loudspeaker | None,
    ) -> None:
        self._udp = udp
        self._sender = sender
        self._exhausted = exhausted
        self._told = told
        self._loudspeaker = loudspeaker
        self._relay: Relay[Way] = Relay(rows=RepairEncoder, solver=RepairSolver)
        self._downlinks: dict[int, Downlink[Way]] = {}
        self._due_ns: int | None = None
        self._forwarded = 0
        self._late = 0

    @property
    def seq(self) -> int:
        """Of the server's own stream, as Sender."""
        return 0 if self._sender is None else self._sender.seq

    @property
    def time(self) -> int:
        """Of the server's own stream, as Sender."""
        return 0 if self._sender is None else self._sender.time

    @property
    def listeners(self) -> int:
        """How many are being sent to."""
        return sum(downlink.way is not None for downlink in self._downlinks.values())

    @property
    def counters(self) -> Counters:
        """What has been sent of the server's own stream."""
        if self._sender is not None:
            return self._sender.counters
        return Counters(sent_bytes=self._udp.sent_bytes, unsent=self._udp.unsent)

    @property
    def talk_counters(self) -> TalkCounters:
        """What has become of the talkers' streams. From any thread."""
        return TalkCounters(self._forwarded, self._relay.dropped + self._late)

    def obey(self, command: SenderCommand | TalkCommand) -> None:
        """Does it, and sends what follows from it."""
        if isinstance(command, Block):
            assert self._sender is not None, "without a source there are no blocks"
            self._sender.obey(command)
        elif isinstance(command, Incoming):
            self._on_incoming(command.datagrams)
        elif isinstance(command, Feedback):
            self._on_feedback(command)
        elif isinstance(command, Join | Open | Pause | Leave):
            self._on_session(command)
        else:
            self._on_talk(command)
        self._tell()

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        return self._due_ns

    def handle_timeout(self) -> None:
        """Asks for what is missing, tells talkers how they are heard."""
        now_ns = time.monotonic_ns()
        self._send(self._relay.handle_timeout(now_ns))
        due_ns = self._relay.timeout_ns()
        self._due_ns = None if due_ns is None else max(due_ns, now_ns + REST_NS)
        self._tell()

    def _look_soon(self, now_ns: int) -> None:
        soon_ns = now_ns + LOOK_EVERY_NS
        if self._due_ns is None or soon_ns < self._due_ns:
            self._due_ns = soon_ns

    def _on_session(self, command: SessionCommand) -> None:
        connection = command.connection
        if isinstance(command, Join):
            if self._sender is not None:
                downlink = self._sender.join(command)
            else:
                downlink = Downlink(connection, command.sender())
            self._downlinks[connection] = downlink
            self._relay.join(downlink, command.user)
        elif isinstance(command, Leave):
            self._relay.leave(connection, time.monotonic_ns())
            held = self._downlinks.pop(connection, None)
            if held is not None:
                held.way = None
            if self._sender is not None:
                self._sender.obey(command)
        elif connection in self._downlinks:
            way = command.way if isinstance(command, Open) else None
            self._downlinks[connection].way = way

    def _on_talk(self, command: Talk | EndTalk | Captured | Hear | Overhear) -> None:
        now_ns = time.monotonic_ns()
        if isinstance(command, Talk):
            self._relay.talk(command.connection, command.stream, now_ns)
        elif isinstance(command, EndTalk):
            self._relay.end(command.connection, command.end, now_ns)
        elif isinstance(command, Captured):
            self._relay.anchor(command.connection, command.anchor, now_ns)
        elif isinstance(command, Hear):
            self._relay.hear(command.connection, command.listeners, now_ns)
        else:
            self._relay.overhear(command.connections)
        self._look_soon(now_ns)

    def _on_incoming(self, datagrams: Sequence[Accepted]) -> None:
        now_ns = time.monotonic_ns()
        relay, oldest_ns, sent = self._relay, now_ns - MAX_BACKLOG_NS, 0
        relay.hurried = len(datagrams) >= MANY_DATAGRAMS
        for connection, number, kind, stream, body, at_ns in datagrams:
            relay.numbered(connection, number, at_ns)
            if kind not in TALK_TYPES:
                continue
            if at_ns < oldest_ns:
                self._late += 1
                continue
            sent += self._send(relay.receive(connection, kind, stream, body, at_ns))
        self._forwarded += sent
        if relay.disturbed:
            self._look_soon(now_ns)

    def _on_feedback(self, feedback: Feedback) -> None:
        downlink = self._downlinks.get(feedback.connection)
        if downlink is None:
            return
        message, now_ns = feedback.message, time.monotonic_ns()
        if isinstance(message, Report):
            downlink.report(message, now_ns)
        elif isinstance(message, Request):
            self._send(downlink.request(feedback.stream, message, now_ns))
        else:
            self._send(downlink.clock(message, received_ns=feedback.at_ns, now_ns=now_ns))

    def _send(self, outgoing: Iterable[Outgoing[Way]]) -> int:
        """Sends them. Returns how many there were."""
        sent = 0
        for connection, way, datagram in outgoing:
            if datagram:
                sent += 1
                self._udp.send(datagram, way)
            else:
                self._downlinks[connection].way = None
                self._exhausted(connection)
        return sent

    def _tell(self) -> None:
        records = self._relay.to_send()
        if records:
            self._told(records)
        if self._loudspeaker is not None:
            heard = self._relay.heard()
            if heard:
                self._loudspeaker.play(heard, time.monotonic_ns())
