"""One TCP connection as the server sees it: the handshake, then the channel.

Source: protocol 1, sections 2, 3 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from echowarp.crypto.schedule import SessionKeys
from echowarp.errors import ProtocolError
from echowarp.session.address import IpNetwork
from echowarp.session.admission import Admission
from echowarp.session.channel import NS_PER_S, ControlChannel
from echowarp.session.endpoint import Endpoint, Received, StateTable
from echowarp.session.exchange import RandomBytes, ServerExchange
from echowarp.wire import handshake as frames
from echowarp.wire.buffer import StreamBuffer
from echowarp.wire.codes import Code
from echowarp.wire.handshake import FrameType
from echowarp.wire.records import Close, Record

HANDSHAKE_NS = 5 * NS_PER_S
"""From accept to the client's tag, whatever trickles in."""
TICKET_WAIT_NS = 3 * NS_PER_S
"""How long a HELLO waits for a ticket before 429."""
REFUSAL_DELAY_NS = NS_PER_S
"""How long the answer to a wrong guess takes."""


class State(Enum):
    """Where a connection stands."""

    GREETED = auto()
    """GREETING is out, HELLO is due."""
    QUEUED = auto()
    """HELLO is in and waits for a ticket."""
    REPLIED = auto()
    """REPLY is out, CONFIRM is due; a ticket is held."""
    REFUSING = auto()
    """The guess was wrong; 401 goes out when its time has come."""
    RUNNING = auto()
    """Both ends are proved."""
    CLOSED = auto()
    """What is queued still goes out; nothing is read any more."""


TABLE = StateTable(
    transitions={
        State.GREETED: {State.QUEUED, State.CLOSED},
        State.QUEUED: {State.REPLIED, State.CLOSED},
        State.REPLIED: {State.REFUSING, State.RUNNING, State.CLOSED},
        State.REFUSING: {State.CLOSED},
        State.RUNNING: {State.CLOSED},
        State.CLOSED: set[State](),
    },
    expected={
        State.GREETED: FrameType.HELLO,
        State.QUEUED: FrameType.ERROR,
        State.REPLIED: FrameType.CONFIRM,
    },
    running=State.RUNNING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The client has proved the password; the session's keys."""

    keys: SessionKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Guessed:
    """The client guessed wrong. banned: the network that this banned, if any."""

    banned: IpNetwork | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The connection is over.

    code: why, None when the peer just left; detail: for a log; lost: neither side said
    that it is done, so the client may come back.
    """

    code: Code | None
    detail: str
    lost: bool


ConnectionEvent: TypeAlias = Proved | Guessed | Received | Closed


class ServerConnection(Endpoint[State, ConnectionEvent]):
    """The state machine of one accepted connection.

    host: the peer's numeric address; prs: the encoded password, empty for none.
    """

    def __init__(
        self,
        *,
        host: str,
        prs: bytes,
        admission: Admission,
        random_bytes: RandomBytes,
        now_ns: int,
    ) -> None:
        self._handshake_deadline_ns = now_ns + HANDSHAKE_NS
        super().__init__(TABLE, State.GREETED, self._handshake_deadline_ns)
        self.host = host
        self._guarded = bool(prs)
        self._admission = admission
        self._hello = b""
        greeting = frames.pack_greeting(
            frames.Greeting(
                version_min=frames.VERSION,
                version_max=frames.VERSION,
                nonce=random_bytes(frames.NONCE_BYTES),
            )
        )
        self._out += greeting
        self._exchange = ServerExchange(prs=prs, greeting=greeting, random_bytes=random_bytes)

    @property
    def unfinished(self) -> bool:
        """Whether the handshake is still under way."""
        return not self.running and not self.closed

    def receive(self, data: bytes, now_ns: int) -> None:
        """Takes what TCP brought.

        After a wrong guess nothing is read: no bytes shorten the wait for the answer.
        """
        if self.state is not State.REFUSING:
            super().receive(data, now_ns)

    def receive_eof(self, now_ns: int) -> None:
        """TCP has ended: by the peer, or by a failure of the network.

        After a wrong guess the place stays taken until the answer would have gone
        out: hanging up early buys no faster guessing.
        """
        if self.state is not State.REFUSING:
            super().receive_eof(now_ns)

    def try_reply(self, now_ns: int) -> None:
        """Answers a waiting HELLO if a ticket is free now."""
        if self.state is not State.QUEUED:
            return
        if self._guarded and self._admission.is_banned(self.host):
            self.close(Code.BANNED, "banned meanwhile", now_ns)
            return
        if self._guarded and not self._admission.take_ticket(self.host):
            return
        self._to(State.REPLIED)
        self._deadline_ns = self._handshake_deadline_ns
        try:
            self._out += self._exchange.reply(self._hello)
        except ProtocolError as error:
            self._invalid(str(error))

    def close(self, code: Code, detail: str, now_ns: int) -> None:
        """Says why and closes: by CLOSE once RUNNING, by ERROR before that."""
        if self.running:
            self.send(Close(code=code), now_ns)
        elif not self.closed:
            self._out += frames.pack_error(code)
        # Spent numbers may have ended it already, on the way to the last record.
        if not self.closed:
            self._end(code, detail)

    def _on_error(self, code: int) -> None:
        self._end(None, f"the client gave up with code {code}")

    def _on_frame(self, kind: FrameType, frame: bytes, now_ns: int) -> None:
        if kind is FrameType.HELLO:
            self._on_hello(frame, now_ns)
        else:
            self._on_confirm(frame, now_ns)

    def _on_hello(self, frame: bytes, now_ns: int) -> None:
        if frames.parse_hello(frame).version != frames.VERSION:
            self.close(Code.VERSION, "the client speaks another version", now_ns)
            return
        self._hello = frame
        self._deadline_ns = min(self._handshake_deadline_ns, now_ns + TICKET_WAIT_NS)
        self._to(State.QUEUED)
        self.try_reply(now_ns)

    def _on_confirm(self, frame: bytes, now_ns: int) -> None:
        if not self._exchange.confirmed(frame):
            self._to(State.REFUSING)
            self._buffer = StreamBuffer()
            banned = self._admission.failed(self.host) if self._guarded else None
            self._deadline_ns = now_ns + REFUSAL_DELAY_NS
            self._events.append(Guessed(banned=banned))
            return
        self._to(State.RUNNING)
        if self._guarded:
            self._admission.succeeded(self.host)
        keys = self._exchange.keys()
        self._out += self._exchange.accept()
        self._channel = ControlChannel(
            seal_key=keys.control_server, open_key=keys.control_client, now_ns=now_ns
        )
        self._events.append(Proved(keys=keys))

    def _on_record(self, record: Record) -> None:
        if isinstance(record, Close):
            words = "goodbye" if record.code == Code.FINISHED else f"goodbye ({record.code})"
            self._end(None, f"the client said {words}", lost=record.code != Code.FINISHED)
        else:
            self._events.append(Received(record=record))

    def _on_timeout(self, now_ns: int) -> None:
        if self.state is State.REFUSING:
            self.close(Code.WRONG_PASSWORD, "wrong password", now_ns)
        elif self.running:
            self.close(Code.TIMEOUT, "nothing was heard for 15 s", now_ns)
        elif now_ns >= self._handshake_deadline_ns:
            self.close(Code.TIMEOUT, "the handshake took too long", now_ns)
        else:
            self.close(Code.TOO_MANY, "no ticket came free", now_ns)

    def _end(self, code: Code | None, detail: str, *, lost: bool = True) -> None:
        self._to(State.CLOSED)
        lost = lost and code not in (Code.FINISHED, Code.DISPLACED)
        self._events.append(Closed(code=code, detail=detail, lost=lost))

    def _to(self, state: State) -> None:
        if self.state is State.REPLIED and state is State.CLOSED and self._guarded:
            self._admission.give_back(self.host)
        super()._to(state)
