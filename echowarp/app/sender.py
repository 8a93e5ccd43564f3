"""Sends a stream to its listeners: all that is done for each of them and each block.

It runs on the engine's thread, or in a worker process for some of the listeners;
whoever runs it alone has their keys and numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from echowarp.crypto.suite import DatagramCipher, Suite
from echowarp.media.repair import RepairEncoder
from echowarp.net.udp_server import UdpSender, Way
from echowarp.session.broadcast import SERVER_STREAM, Broadcast, Outgoing
from echowarp.session.datagrams import DatagramSender
from echowarp.session.fanout import Downlink
from echowarp.session.gate import Feedback
from echowarp.wire.feedback import Report, Request


class Block(NamedTuple):
    """The stream's next block.

    frames: its length; lost_frames: what the source missed before it; captured_ns: as
    in Capture.
    """

    payload: bytes
    frames: int
    lost_frames: int
    captured_ns: int


@dataclass(frozen=True, slots=True)
class Join:
    """A session began; nothing is sent before Open. key: that of its audio in `suite`."""

    connection: int
    suite: Suite
    key: bytes = field(repr=False)
    session: bytes = field(repr=False)
    user: int = 0

    def sender(self) -> DatagramSender:
        """Its numbers and key. Whoever takes them alone seals for it."""
        return DatagramSender(cipher=DatagramCipher(self.suite, self.key), session=self.session)


@dataclass(frozen=True, slots=True)
class Open:
    """Stream to that listener by that way."""

    connection: int
    way: Way


@dataclass(frozen=True, slots=True)
class Pause:
    """That listener is silent."""

    connection: int


@dataclass(frozen=True, slots=True)
class Leave:
    """A session ended."""

    connection: int


SessionCommand: TypeAlias = Join | Open | Pause | Leave

SenderCommand: TypeAlias = Block | SessionCommand | Feedback


class Counters(NamedTuple):
    """What was sent, over all listeners.

    datagrams: with a block for the first time; resent: with one that was asked for;
    rows: with a repair row; sent_bytes, unsent: as in UdpSender.
    """

    datagrams: int = 0
    resent: int = 0
    rows: int = 0
    sent_bytes: int = 0
    unsent: int = 0

    def plus(self, other: Counters) -> Counters:
        """The sums of both."""
        return Counters(*map(int.__add__, self, other))


class Sender:
    """Sends from a position on, to whoever joins.

    first_seq, first_time: of the next block, unwrapped; block_ns: how long a full one
    lasts; exhausted: called with a connection whose numbers are spent.
    """

    def __init__(
        self,
        udp: UdpSender,
        *,
        first_seq: int,
        first_time: int,
        block_ns: int,
        exhausted: Callable[[int], None],
    ) -> None:
        self._udp = udp
        self._exhausted = exhausted
        self._broadcast: Broadcast[Way] = Broadcast(
            first_seq=first_seq, first_time=first_time, block_ns=block_ns, rows=RepairEncoder()
        )

    @property
    def seq(self) -> int:
        """Unwrapped sequence number of the next block."""
        return self._broadcast.seq

    @property
    def time(self) -> int:
        """Unwrapped time of the next block, in frames."""
        return self._broadcast.time

    @property
    def listeners(self) -> int:
        """How many are being sent to."""
        return self._broadcast.open_listeners

    @property
    def counters(self) -> Counters:
        """What has been sent so far."""
        sent, udp = self._broadcast, self._udp
        return Counters(
            sent.blocks_sent, sent.blocks_resent, sent.rows_sent, udp.sent_bytes, udp.unsent
        )

    def obey(self, command: SenderCommand) -> None:
        """Does it, and sends what follows from it."""
        if isinstance(command, Block):
            frames, lost_frames = command.frames, command.lost_frames
            self._send(
                self._broadcast.block(command.payload, frames=frames, lost_frames=lost_frames)
            )
        elif isinstance(command, Feedback):
            self._on_feedback(command)
        elif isinstance(command, Join):
            self.join(command)
        elif isinstance(command, Open):
            self._broadcast.open(command.connection, command.way)
        elif isinstance(command, Pause):
            self._broadcast.pause(command.connection)
        else:
            self._broadcast.remove(command.connection)

    def join(self, join: Join) -> Downlink[Way]:
        """A session began. Gives its downlink, for whatever else goes that way."""
        return self._broadcast.add(join.connection, join.sender(), time.monotonic_ns())

    def skip(self, block: Block) -> None:
        """Moves on without sending that block."""
        self._broadcast.skip(frames=block.frames, lost_frames=block.lost_frames)

    def _on_feedback(self, feedback: Feedback) -> None:
        connection, message, now_ns = feedback.connection, feedback.message, time.monotonic_ns()
        if isinstance(message, Report):
            self._broadcast.report(connection, message, now_ns)
        elif isinstance(message, Request):
            if feedback.stream == SERVER_STREAM:
                self._send(self._broadcast.request(connection, message, now_ns))
        else:
            answer = self._broadcast.clock(
                connection, message, received_ns=feedback.at_ns, now_ns=now_ns
            )
            self._send(answer)

    def _send(self, outgoing: Iterable[Outgoing[Way]]) -> None:
        for connection, way, datagram in outgoing:
            if datagram:
                self._udp.send(datagram, way)
            else:
                self._broadcast.pause(connection)
                self._exhausted(connection)
