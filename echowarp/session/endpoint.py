"""What both ends of a connection do alike: bytes to frames and records, deadlines,
the heartbeat, and what waits to be drained.

Source: protocol 1, sections 2 to 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from echowarp.crypto.limits import NumbersSpent
from echowarp.errors import ProtocolError
from echowarp.session.channel import ControlChannel
from echowarp.wire import handshake as frames
from echowarp.wire.buffer import StreamBuffer
from echowarp.wire.codes import Code
from echowarp.wire.handshake import FrameType
from echowarp.wire.records import Record

SPENT = "the channel's numbers are spent"

StateT = TypeVar("StateT", bound=Enum)
EventT = TypeVar("EventT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A control record for the session."""

    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTable(Generic[StateT]):
    """The states of one end.

    transitions: which may follow which, none after the last; expected: the frame that
    is due in a state, an ERROR may come in place of it; running: where records may be
    sent.
    """

    transitions: Mapping[StateT, Set[StateT]]
    expected: Mapping[StateT, FrameType]
    running: StateT


class Endpoint(ABC, Generic[StateT, EventT]):
    """One end of a connection: a subclass decides, this carries out.

    table: its states; state: the first of them; deadline_ns: when that must be left.
    """

    def __init__(self, table: StateTable[StateT], state: StateT, deadline_ns: int) -> None:
        self.state = state
        self._table = table
        self._deadline_ns = deadline_ns
        """When the present state must be left; means nothing once running."""
        self._channel: ControlChannel | None = None
        self._buffer = StreamBuffer()
        self._out = bytearray()
        self._events: list[EventT] = []

    @property
    def closed(self) -> bool:
        """Whether it is over. What is queued still goes out; nothing is read any more."""
        return not self._table.transitions[self.state]

    @property
    def running(self) -> bool:
        """Whether both ends are proved and records may be sent."""
        return self.state is self._table.running

    def receive(self, data: bytes, now_ns: int) -> None:
        """Takes what TCP brought."""
        if self.closed:
            return
        self._buffer.feed(data)
        try:
            self._read_frames(now_ns)
            self._read_records(now_ns)
        except ProtocolError as error:
            self._invalid(str(error))
        except NumbersSpent:
            self._end(Code.CLOSING, SPENT)

    def receive_eof(self, now_ns: int) -> None:
        """TCP has ended: by the peer, or by a failure of the network."""
        if not self.closed:
            self._end(None, "the connection was lost")

    def send(self, record: Record, now_ns: int) -> None:
        """Queues a record for the peer. Nothing unless RUNNING."""
        if not self.running or self._channel is None:
            return
        try:
            self._channel.send(record, now_ns)
        except NumbersSpent:
            self._end(Code.CLOSING, SPENT)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called; None once closed."""
        if self.closed:
            return None
        dues = [] if self._channel is None else [self._channel.timeout_ns()]
        # Until it runs the handshake is not over, whatever else the peer says.
        if not self.running:
            dues.append(self._deadline_ns)
        return min(dues)

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        due_ns = self.timeout_ns()
        if due_ns is None or now_ns < due_ns:
            return
        try:
            late = not self.running and now_ns >= self._deadline_ns
            alive = not late and self._channel is not None and self._channel.handle_timeout(now_ns)
        except NumbersSpent:
            self._end(Code.CLOSING, SPENT)
            return
        if not alive:
            self._on_timeout(now_ns)

    def to_send(self) -> bytes:
        """Drains the bytes for the peer."""
        if self._channel is not None:
            self._out += self._channel.to_send()
        out, self._out = bytes(self._out), bytearray()
        return out

    def events(self) -> list[EventT]:
        """Drains what has happened."""
        events, self._events = self._events, []
        return events

    def _read_frames(self, now_ns: int) -> None:
        while (expected := self._table.expected.get(self.state)) is not None:
            frame = self._buffer.take_frame(expected)
            if frame is None:
                return
            kind = frames.frame_type(frame)
            if kind is FrameType.ERROR:
                self._on_error(frames.parse_error(frame))
            else:
                self._on_frame(kind, frame, now_ns)

    def _read_records(self, now_ns: int) -> None:
        while self._channel is not None and not self.closed:
            sealed = self._buffer.take_record()
            if sealed is None:
                return
            record = self._channel.open(sealed, now_ns)
            if record is not None:
                self._on_record(record)

    def _invalid(self, detail: str) -> None:
        # A record that does not open gets no reply: it may be an attacker's probe.
        if self._channel is None:
            self._out += frames.pack_error(Code.INVALID)
        self._end(Code.INVALID, detail)

    def _to(self, state: StateT) -> None:
        assert state in self._table.transitions[self.state], f"{self.state} -> {state}"
        self.state = state

    @abstractmethod
    def _on_frame(self, kind: FrameType, frame: bytes, now_ns: int) -> None:
        """The frame that was due has come. Raises ProtocolError."""

    @abstractmethod
    def _on_error(self, code: int) -> None:
        """An ERROR has come. Raises ProtocolError."""

    @abstractmethod
    def _on_record(self, record: Record) -> None:
        """A record has come that is no part of the heartbeat. Raises ProtocolError."""

    @abstractmethod
    def _on_timeout(self, now_ns: int) -> None:
        """The state's deadline has passed, or the peer has been silent too long."""

    @abstractmethod
    def _end(self, code: Code | None, detail: str) -> None:
        """Closes, and tells so in an event. code: None when the peer just left."""
