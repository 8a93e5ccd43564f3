"""The server's end of HTTP/1: requests out of a byte stream.

Source: RFC 9112. A request is refused as soon as it can be told to be wrong, and after an
error the connection is over: whoever understood it differently must not be served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from echowarp.wire.http_body import Body, SizedBody, framed_body
from echowarp.wire.http_fields import TOKEN, FieldReader, Headers, HttpError, LineBuffer
from echowarp.wire.http_target import parse_authority, parse_target

NS_PER_S = 1_000_000_000
IDLE_NS = 30 * NS_PER_S
"""How long a connection may wait for its next request."""
HEAD_NS = 5 * NS_PER_S
"""From the first byte of a request to the end of its header section."""
BODY_NS = 30 * NS_PER_S
"""From there to the end of its content."""

MAX_LINE_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024
"""Unless the reader is made for more."""
PAUSE_BYTES = 64 * 1024

_LINE = re.compile(rf"({TOKEN}) ([!-~]+) HTTP/([0-9])\.([0-9])".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of one request.

    target: as it came; path, query: decoded from it; host: with its port, "" where HTTP/1.0
    names none; minor: of HTTP/1.x; body_bytes: None when it comes in chunks.
    """

    method: str
    target: str
    path: str
    query: Mapping[str, str]
    host: str
    minor: int
    headers: Headers
    body_bytes: int | None

    @property
    def keep_alive(self) -> bool:
        """Whether the client will send another request on this connection."""
        wishes = self.headers.tokens("Connection")
        return "close" not in wishes and (self.minor > 0 or "keep-alive" in wishes)

    @property
    def expects_continue(self) -> bool:
        """Whether the client holds its content back until it gets CONTINUE."""
        return self.minor > 0 and self.body_bytes != 0 and "Expect" in self.headers


class State(Enum):
    """Where a connection stands."""

    IDLE = auto()
    """Nothing of the next request has come."""
    LINE = auto()
    """Its first line is due."""
    FIELDS = auto()
    """Its header section is due."""
    BODY = auto()
    """It was handed out; its content is due."""
    ANSWERING = auto()
    """All of it has come."""
    CLOSED = auto()
    """An error, the last request, or a change of protocol."""


_TRANSITIONS = {
    State.IDLE: {State.LINE, State.CLOSED},
    State.LINE: {State.FIELDS, State.CLOSED},
    State.FIELDS: {State.BODY, State.CLOSED},
    State.BODY: {State.ANSWERING, State.CLOSED},
    State.ANSWERING: {State.IDLE, State.CLOSED},
    State.CLOSED: set[State](),
}
_WAITS_NS = {State.IDLE: IDLE_NS, State.LINE: HEAD_NS, State.BODY: BODY_NS}
"""Counted from the moment a state was entered; FIELDS goes on with LINE's."""


class RequestReader:
    """Reads the requests of one connection, one after the other.

    `next_request` gives a head, `body` its content as it comes; after the answer,
    `answered` tells whether another may follow.
    """

    def __init__(self, now_ns: int, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.state = State.IDLE
        self._max_body_bytes = max_body_bytes
        self._buffer = LineBuffer()
        self._line: tuple[str, str, int] | None = None
        self._fields = FieldReader()
        self._body: Body = SizedBody(0)
        self._keep_alive = False
        self._now_ns = now_ns
        self._deadline_ns = now_ns + IDLE_NS

    @property
    def paused(self) -> bool:
        """Whether so much waits here that nothing more should be read from the peer."""
        return len(self._buffer) >= PAUSE_BYTES

    @property
    def body_complete(self) -> bool:
        """Whether the content of the last request has been read to its end."""
        return self._body.complete

    def receive(self, data: bytes, now_ns: int) -> None:
        """Takes what TCP brought."""
        self._now_ns = now_ns
        if self.state is State.CLOSED:
            return
        self._buffer.feed(data)
        if self.state is State.IDLE and data:
            self._to(State.LINE)

    def next_request(self) -> Request | None:
        """The next head, or None while there is none. Raises HttpError, then it is over."""
        try:
            if self.state is State.LINE:
                self._read_line()
            if self.state is State.FIELDS:
                headers = self._fields.read(self._buffer)
                return None if headers is None else self._begin(headers)
            return None
        except HttpError:
            self._to(State.CLOSED)
            raise

    def body(self) -> bytes:
        """Drains what has come of the content. Raises HttpError, then it is over."""
        if self.state is not State.BODY:
            return b""
        try:
            content = self._body.read(self._buffer)
        except HttpError:
            self._to(State.CLOSED)
            raise
        if self._body.complete:
            self._to(State.ANSWERING)
        return content

    def answered(self, now_ns: int) -> bool:
        """The answer is out. Returns whether the connection stays open for another request:
        not when the client wants it closed, nor when content was left unread."""
        self._now_ns = now_ns
        if self.state is not State.ANSWERING or not self._keep_alive:
            if self.state is not State.CLOSED:
                self._to(State.CLOSED)
            return False
        self._to(State.IDLE)
        if len(self._buffer):
            self._to(State.LINE)
        return True

    def take_rest(self) -> bytes:
        """What follows the request, for another protocol; this one is over."""
        if self.state is not State.CLOSED:
            self._to(State.CLOSED)
        return self._buffer.take(len(self._buffer))

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called; None while the server is at work."""
        return None if self.state in (State.ANSWERING, State.CLOSED) else self._deadline_ns

    def handle_timeout(self, now_ns: int) -> None:
        """Raises HttpError 408 when the client took too long, then it is over."""
        due_ns = self.timeout_ns()
        if due_ns is not None and now_ns >= due_ns:
            self._to(State.CLOSED)
            raise HttpError(408, "the request took too long")

    def _read_line(self) -> None:
        line = self._buffer.take_line(MAX_LINE_BYTES, 414)
        if line == b"" and self._line is None:
            # Some clients send an empty line behind the content of a request.
            self._line = ("", "", 0)
            line = self._buffer.take_line(MAX_LINE_BYTES, 414)
        if line is None:
            return
        self._line = _parse_line(line)
        self._to(State.FIELDS)

    def _begin(self, headers: Headers) -> Request:
        assert self._line is not None, "fields follow a line"
        method, target, minor = self._line
        parsed = parse_target(method, target)
        hosts = headers.all("Host")
        if len(hosts) > 1 or (minor > 0 and not hosts):
            raise HttpError(400, "not exactly one Host")
        if hosts and hosts[0]:
            parse_authority(hosts[0])
        body = framed_body(headers, minor=minor, max_bytes=self._max_body_bytes)
        if minor > 0 and headers.tokens("Expect") not in ([], ["100-continue"]):
            raise HttpError(417, "an expectation other than 100-continue")
        request = Request(
            method=method,
            target=target,
            path=parsed.path,
            query=parsed.query,
            host=parsed.host or (hosts[0] if hosts else ""),
            minor=minor,
            headers=headers,
            body_bytes=_announced(body),
        )
        self._body = SizedBody(0) if body is None else body
        self._keep_alive = request.keep_alive
        self._line, self._fields = None, FieldReader()
        self._to(State.BODY)
        if self._body.complete:
            self._to(State.ANSWERING)
        return request

    def _to(self, state: State) -> None:
        assert state in _TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
        if state in _WAITS_NS:
            self._deadline_ns = self._now_ns + _WAITS_NS[state]


def _announced(body: Body | None) -> int | None:
    if body is None:
        return 0
    return body.size_bytes if isinstance(body, SizedBody) else None


def _parse_line(line: bytes) -> tuple[str, str, int]:
    """Method, target and minor version."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise HttpError(400, "a request line that breaks the syntax")
    method, target, major, minor = (part.decode("ascii") for part in found.groups())
    if major != "1" or minor not in "01":
        raise HttpError(505, f"HTTP/{major}.{minor} is not spoken here")
    return method, target, int(minor)
