"""One connection as the client sees it: the handshake, then the channel.

Source: protocol 1, sections 2, 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite
from echowarp.errors import ProtocolError
from echowarp.session.channel import NS_PER_S, ControlChannel
from echowarp.session.endpoint import Endpoint, Received, StateTable
from echowarp.session.exchange import ClientExchange, RandomBytes
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.handshake import FrameType
from echowarp.wire.people import NO_TOKEN
from echowarp.wire.records import Close, Record, Session

HANDSHAKE_NS = 10 * NS_PER_S
"""Longer than the server's own 5 s, so that its answer is heard."""

OTHER_VERSION = "the server speaks another version of the protocol: update the older side"
OTHER_PASSWORD = "the server does not have this password; check --password on both sides"
NOT_OURS = "what answers there is not an EchoWarp server; check address and port"


class State(Enum):
    """Where the connection stands."""

    AWAIT_GREETING = auto()
    AWAIT_REPLY = auto()
    AWAIT_ACCEPT = auto()
    """Our tag is out: from here to ACCEPT a false server could test one guess."""
    AWAIT_SESSION = auto()
    RUNNING = auto()
    CLOSED = auto()


TABLE = StateTable(
    transitions={
        State.AWAIT_GREETING: {State.AWAIT_REPLY, State.CLOSED},
        State.AWAIT_REPLY: {State.AWAIT_ACCEPT, State.CLOSED},
        State.AWAIT_ACCEPT: {State.AWAIT_SESSION, State.CLOSED},
        State.AWAIT_SESSION: {State.RUNNING, State.CLOSED},
        State.RUNNING: {State.CLOSED},
        State.CLOSED: set[State](),
    },
    expected={
        State.AWAIT_GREETING: FrameType.GREETING,
        State.AWAIT_REPLY: FrameType.REPLY,
        State.AWAIT_ACCEPT: FrameType.ACCEPT,
    },
    running=State.RUNNING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The server is proved and has said how the session runs.

    resume: what a later session takes our name, call and room back with.
    """

    keys: SessionKeys
    suite: Suite
    user: int
    resume: bytes = field(default=NO_TOKEN, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The connection is over.

    code: the peer's or our reason, None when it was just lost; by_peer: the peer
    gave it; unproved: it was lost between our tag and the server's; detail: for a log.
    """

    code: int | None
    by_peer: bool
    unproved: bool
    detail: str


ClientEvent: TypeAlias = Started | Received | Ended


class ClientSession(Endpoint[State, ClientEvent]):
    """The state machine of one connection to a server. prs: encoded password, empty for none."""

    def __init__(self, *, prs: bytes, random_bytes: RandomBytes, now_ns: int) -> None:
        super().__init__(TABLE, State.AWAIT_GREETING, now_ns + HANDSHAKE_NS)
        self._prs = prs
        self._random_bytes = random_bytes
        self._exchange: ClientExchange | None = None

    def refuse(self, detail: str) -> None:
        """The server asks for what this client cannot do: ends as INVALID."""
        if not self.closed:
            self._invalid(detail)

    def close(self, now_ns: int) -> None:
        """Says goodbye, in whatever way the state allows."""
        self.send(Close(code=Code.FINISHED), now_ns)
        # Spent numbers may have ended it already, on the way to the last record.
        if not self.closed:
            self._end(Code.FINISHED, "closed by us")

    def _on_error(self, code: int) -> None:
        if code == Code.FINISHED:
            # It ends the program as done, so only a proved server may say it.
            raise ProtocolError("a goodbye from a server that has proved nothing")
        self._end(code, f"the server answered {code}", by_peer=True)

    def _on_frame(self, kind: FrameType, frame: bytes, now_ns: int) -> None:
        if kind is FrameType.GREETING:
            self._on_greeting(frame)
        elif kind is FrameType.REPLY:
            self._on_reply(frame)
        else:
            self._on_accept(frame, now_ns)

    def _on_greeting(self, frame: bytes) -> None:
        greeting = frames.parse_greeting(frame)
        if not greeting.version_min <= frames.VERSION <= greeting.version_max:
            self._out += frames.pack_error(Code.VERSION)
            self._end(Code.VERSION, OTHER_VERSION)
            return
        self._exchange = ClientExchange(
            prs=self._prs, greeting=frame, random_bytes=self._random_bytes
        )
        self._out += self._exchange.hello
        self._to(State.AWAIT_REPLY)

    def _on_reply(self, frame: bytes) -> None:
        assert self._exchange is not None
        self._out += self._exchange.confirm(frame)
        self._to(State.AWAIT_ACCEPT)

    def _on_accept(self, frame: bytes, now_ns: int) -> None:
        assert self._exchange is not None
        if not self._exchange.accepted(frame):
            self._end(Code.WRONG_PASSWORD, OTHER_PASSWORD)
            return
        keys = self._exchange.keys()
        self._channel = ControlChannel(
            seal_key=keys.control_client, open_key=keys.control_server, now_ns=now_ns
        )
        self._to(State.AWAIT_SESSION)

    def _on_record(self, record: Record) -> None:
        if isinstance(record, Close):
            detail = f"the server said goodbye ({record.code})"
            self._end(record.code, detail, by_peer=True)
        elif self.state is State.AWAIT_SESSION:
            self._on_session(record)
        elif not isinstance(record, Session):
            self._events.append(Received(record=record))

    def _on_session(self, record: Record) -> None:
        if not isinstance(record, Session):
            raise ProtocolError("the first record is not SESSION")
        try:
            suite = Suite(record.suite)
        except ValueError:
            raise ProtocolError(f"audio suite {record.suite} is not known") from None
        assert self._exchange is not None
        self._to(State.RUNNING)
        self._events.append(
            Started(keys=self._exchange.keys(), suite=suite, user=record.user, resume=record.resume)
        )

    def _on_timeout(self, now_ns: int) -> None:
        self._end(Code.TIMEOUT, "the server fell silent")

    def _invalid(self, detail: str) -> None:
        super()._invalid(NOT_OURS if self.state is State.AWAIT_GREETING else detail)

    def _end(self, code: int | None, detail: str, *, by_peer: bool = False) -> None:
        unproved = self.state is State.AWAIT_ACCEPT
        self._to(State.CLOSED)
        self._events.append(Ended(code=code, by_peer=by_peer, unproved=unproved, detail=detail))
