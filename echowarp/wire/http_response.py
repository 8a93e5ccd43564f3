"""The client's end of HTTP/1: the response out of a byte stream.

Source: RFC 9112, sections 4 and 6.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from echowarp.wire.http_body import Body, EndlessBody, SizedBody, framed_body
from echowarp.wire.http_fields import FieldReader, Headers, HttpError, LineBuffer

MAX_LINE_BYTES = 8 * 1024
MAX_INTERIM = 8
"""Responses 1xx before the one that counts."""
SWITCHING = 101

_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The head of a response. reason: the server's words for its status, or ""."""

    status: int
    reason: str
    headers: Headers


class State(Enum):
    """Where a response stands."""

    LINE = auto()
    FIELDS = auto()
    BODY = auto()
    DONE = auto()


_TRANSITIONS = {
    State.LINE: {State.FIELDS},
    State.FIELDS: {State.LINE, State.BODY},
    State.BODY: {State.DONE},
    State.DONE: set[State](),
}


class ResponseReader:
    """Reads the response to one request of the given method."""

    def __init__(self, method: str, *, max_body_bytes: int) -> None:
        self.state = State.LINE
        self._method = method
        self._max_body_bytes = max_body_bytes
        self._buffer = LineBuffer()
        self._line: tuple[int, int, str] = (1, 0, "")
        self._fields = FieldReader()
        self._body: Body = SizedBody(0)
        self._interim = 0

    @property
    def body_complete(self) -> bool:
        """Whether the content has been read to its end."""
        return self.state is State.DONE

    def receive(self, data: bytes) -> None:
        """Takes what TCP brought."""
        self._buffer.feed(data)

    def receive_eof(self) -> None:
        """TCP has ended. Raises HttpError when the response had not."""
        if self.state is State.BODY and isinstance(self._body, EndlessBody):
            self._to(State.DONE)
        elif self.state is not State.DONE:
            raise HttpError(502, "the server closed the connection before it had answered")

    def next_response(self) -> Response | None:
        """The head of the final response, or None while it has not come. Raises HttpError."""
        try:
            while self._read_line() and self.state is State.FIELDS:
                headers = self._fields.read(self._buffer)
                response = None if headers is None else self._begin(headers)
                if headers is None or response is not None:
                    return response
            return None
        except HttpError as error:
            raise _bad(error) from None

    def body(self) -> bytes:
        """Drains what has come of the content. Raises HttpError."""
        if self.state is not State.BODY:
            return b""
        try:
            content = self._body.read(self._buffer)
        except HttpError as error:
            raise _bad(error) from None
        if self._body.complete:
            self._to(State.DONE)
        return content

    def take_rest(self) -> bytes:
        """What follows the response."""
        return self._buffer.take(len(self._buffer))

    def _read_line(self) -> bool:
        """Whether the first line has been read, now or before."""
        if self.state is not State.LINE:
            return True
        line = self._buffer.take_line(MAX_LINE_BYTES, 502)
        if line is None:
            return False
        found = _LINE.fullmatch(line)
        if found is None:
            raise HttpError(502, "something that is not HTTP/1")
        minor, status, reason = found.groups()
        self._line = (int(minor), int(status), (reason or b"").decode("latin-1"))
        self._fields = FieldReader()
        self._to(State.FIELDS)
        return True

    def _begin(self, headers: Headers) -> Response | None:
        """The response that these fields complete; None for an interim one."""
        minor, status, reason = self._line
        if status < 200 and status != SWITCHING:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise HttpError(502, "too many interim responses")
            self._to(State.LINE)
            return None
        self._to(State.BODY)
        if self._method == "HEAD" or status in (SWITCHING, 204, 304):
            self._body = SizedBody(0)
        else:
            body = framed_body(headers, minor=minor, max_bytes=self._max_body_bytes)
            self._body = EndlessBody(self._max_body_bytes) if body is None else body
        if self._body.complete:
            self._to(State.DONE)
        return Response(status=status, reason=reason, headers=headers)

    def _to(self, state: State) -> None:
        assert state in _TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state


def _bad(error: HttpError) -> HttpError:
    """What is wrong with an answer has another status than what is wrong with a request."""
    return HttpError(502, f"the server answered with {error}")
