"""One end of a WebSocket after its handshake: bytes to messages and back.

Source: RFC 6455. No extension is spoken. Pings are answered here; both ends go through
the same states, and only the masks tell a client from a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from echowarp.wire.websocket_frames import (
    MASK_BYTES,
    MAX_CONTROL_BYTES,
    Buffer,
    CloseCode,
    FrameError,
    Opcode,
    pack_close,
    pack_frame,
    pack_head,
    parse_close,
)
from echowarp.wire.websocket_messages import MessageReader

NS_PER_S = 1_000_000_000
CLOSE_NS = 5 * NS_PER_S
"""How long a peer may take to answer our Close."""
SILENT_PINGS = 3
"""So many pauses without a byte, pinged from the first on, and the peer is gone."""
MAX_PONGS = 64
"""To be sent at once; of more pings only the newest is answered, as section 5.5.3 allows."""
INLINE_BYTES = 4 * 1024
"""A shorter payload is joined to its head: a copy costs less than a piece to be sent."""


class Role(Enum):
    """Which end this is: a client masks what it sends."""

    CLIENT = auto()
    SERVER = auto()


class State(Enum):
    """Where a WebSocket stands."""

    OPEN = auto()
    CLOSING = auto()
    """Our Close is out, theirs is due; what else comes is dropped."""
    CLOSED = auto()
    """What is queued still goes out; nothing is read any more."""


_TRANSITIONS = {
    State.OPEN: {State.CLOSING, State.CLOSED},
    State.CLOSING: {State.CLOSED},
    State.CLOSED: set[State](),
}


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A whole text message."""

    text: str


@dataclass(frozen=True, slots=True)
class BinaryMessage:
    """A whole binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ponged:
    """The peer answered our ping, or says by itself that it lives."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """It is over; the last event.

    code: the peer's, NO_STATUS when it gave none; ours when the peer broke the protocol;
    LOST when the connection ended without a Close; reason: the peer's words, or what is
    wrong; clean: both ends said Close.
    """

    code: int
    reason: str
    clean: bool


WebSocketEvent: TypeAlias = TextMessage | BinaryMessage | Ponged | Closed


class WebSocket:
    """The state machine of one end.

    max_message_bytes: a longer message ends the connection with 1009; random_bytes: what a
    client draws its masks from; ping_after_ns: pings a peer that has been silent so long
    since now_ns, and gives it up after three times as long; None: never.
    """

    def __init__(
        self,
        role: Role,
        *,
        max_message_bytes: int,
        random_bytes: Callable[[int], bytes] | None = None,
        ping_after_ns: int | None = None,
        now_ns: int = 0,
    ) -> None:
        assert (role is Role.CLIENT) is (random_bytes is not None), "clients mask, servers do not"
        self.state = State.OPEN
        self._reader = MessageReader(
            masked=role is Role.SERVER, max_message_bytes=max_message_bytes
        )
        self._random_bytes = random_bytes
        self._ping_after_ns = ping_after_ns
        self._heard_ns = self._pinged_ns = now_ns
        self._close_due_ns = 0
        self._events: list[WebSocketEvent] = []
        self._out: list[Buffer] = []
        self._pongs = 0
        self._late_pong: bytes | None = None
        self.queued_bytes = 0
        """What `to_send` will give."""

    @property
    def closed(self) -> bool:
        """Whether it is over: send what is queued, then close the connection."""
        return self.state is State.CLOSED

    def receive(self, data: Buffer, now_ns: int) -> None:
        """Takes what TCP brought."""
        if self.closed:
            return
        self._heard_ns = self._pinged_ns = now_ns
        self._reader.receive(data)
        try:
            while not self.closed and (message := self._reader.next_message()) is not None:
                self._on_message(*message)
        except FrameError as error:
            if self.state is State.OPEN:
                self._queue(Opcode.CLOSE, pack_close(error.code, str(error)))
            self._end(error.code, str(error), clean=False)

    def receive_eof(self) -> None:
        """TCP has ended: by the peer, or by a failure of the network."""
        if not self.closed:
            self._end(CloseCode.LOST, "the connection was lost", clean=False)

    def send_text(self, text: str) -> None:
        """Queues a text message. Nothing unless OPEN."""
        self._send(Opcode.TEXT, text.encode())

    def send_binary(self, data: Buffer) -> None:
        """Queues a binary message; the data must stay as it is until it is sent. Nothing
        unless OPEN."""
        self._send(Opcode.BINARY, data)

    def ping(self, data: bytes = b"") -> None:
        """Queues a ping of at most 125 bytes. Nothing unless OPEN."""
        assert len(data) <= MAX_CONTROL_BYTES, "a longer ping is our own bug"
        self._send(Opcode.PING, data)

    def close(self, now_ns: int, code: int | None = CloseCode.NORMAL, reason: str = "") -> None:
        """Says goodbye; it is over when the peer has answered, or 5 s later. Nothing unless
        OPEN."""
        if self.state is State.OPEN:
            self._queue(Opcode.CLOSE, pack_close(code, reason))
            self._close_due_ns = now_ns + CLOSE_NS
            self._reader.drop_messages()
            self._to(State.CLOSING)

    def to_send(self) -> list[Buffer]:
        """Drains what has to go out, in order. Call it when the last of it is sent: until
        then of many pings only the newest is answered."""
        if self._late_pong is not None:
            self._send(Opcode.PONG, self._late_pong)
        self._pongs, self._late_pong = 0, None
        out, self._out = self._out, []
        self.queued_bytes = 0
        return out

    def events(self) -> list[WebSocketEvent]:
        """Drains what has happened."""
        events, self._events = self._events, []
        return events

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called, None for never."""
        if self.state is State.CLOSING:
            return self._close_due_ns
        if self.closed or self._ping_after_ns is None:
            return None
        return min(self._pinged_ns + self._ping_after_ns, self._silent_ns(self._ping_after_ns))

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        due_ns = self.timeout_ns()
        if due_ns is None or now_ns < due_ns:
            return
        if self.state is State.CLOSING:
            self._end(CloseCode.LOST, "the peer did not answer our Close", clean=False)
        elif self._ping_after_ns is not None and now_ns >= self._silent_ns(self._ping_after_ns):
            self._end(CloseCode.LOST, "the peer does not answer", clean=False)
        else:
            self._pinged_ns = now_ns
            self.ping()

    def _silent_ns(self, ping_after_ns: int) -> int:
        return self._heard_ns + SILENT_PINGS * ping_after_ns

    def _on_message(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.BINARY:
            self._events.append(BinaryMessage(payload))
        elif opcode is Opcode.TEXT:
            self._events.append(TextMessage(payload.decode()))
        elif opcode is Opcode.PING:
            if self._pongs < MAX_PONGS:
                self._pongs += 1
                self._send(Opcode.PONG, payload)
            else:
                self._late_pong = payload
        elif opcode is Opcode.PONG:
            self._events.append(Ponged(payload))
        else:
            code, reason = parse_close(payload)
            if self.state is State.OPEN:
                self._queue(Opcode.CLOSE, pack_close(code, ""))
            self._end(CloseCode.NO_STATUS if code is None else code, reason, clean=True)

    def _send(self, opcode: Opcode, payload: Buffer) -> None:
        if self.state is State.OPEN:
            self._queue(opcode, payload)

    def _queue(self, opcode: Opcode, payload: Buffer) -> None:
        size = len(payload)
        if self._random_bytes is not None:
            frame: Buffer = pack_frame(opcode, payload, self._random_bytes(MASK_BYTES))
            self.queued_bytes += len(frame)
            self._out.append(frame)
            return
        head = pack_head(opcode, size)
        self.queued_bytes += len(head) + size
        if size < INLINE_BYTES:
            self._out.append(head + payload)
        else:
            self._out += (head, payload)

    def _end(self, code: int, reason: str, *, clean: bool) -> None:
        self._to(State.CLOSED)
        self._reader.clear()
        self._events.append(Closed(code, reason, clean))

    def _to(self, state: State) -> None:
        assert state in _TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
