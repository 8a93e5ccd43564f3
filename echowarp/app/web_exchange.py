"""Requests of one connection and the answers to them, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from echowarp.app.web_files import FIELDS, POLICY
from echowarp.net.web_connection import WebConnection
from echowarp.net.web_server import WebServer
from echowarp.wire.http import Request, RequestReader, State
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_writer import CONTINUE, response

MAX_BODY_BYTES = 4096
"""A login form is the largest that anybody has to send."""
MAX_WAITING_BYTES = 64 * 1024
NO_STORE = ("Cache-Control", "no-store")

Route = Callable[["Exchange", Request, bytes, int], None]


class Exchange:
    """One connection as long as it speaks HTTP.

    route: takes each whole request; it calls `answer` now or later, or takes the connection
    for something else (`take_rest`).
    """

    def __init__(
        self, server: WebServer, connection: WebConnection, route: Route, now_ns: int
    ) -> None:
        self.connection = connection
        self._server = server
        self._route = route
        self._reader = RequestReader(now_ns, max_body_bytes=MAX_BODY_BYTES)
        self._request: Request | None = None
        self._body = bytearray()
        self._is_taken = False

    def received(self, data: bytes, now_ns: int) -> None:
        """Bytes came, b"" at the end."""
        if not data:
            # Who sends half a request, or waits for an answer, may only have closed one way.
            if self._request is None:
                self._server.drop(self.connection)
            else:
                self.connection.is_read = False
            return
        self._reader.receive(data, now_ns)
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        try:
            while not self.connection.is_closing and self._advance(now_ns):
                pass
        except HttpError as error:
            self._refuse(error)
        if not self._is_taken:
            # What is sent ahead is read when its turn comes.
            self.connection.is_read = not self._reader.paused
            self._server.touch(self.connection)

    def _advance(self, now_ns: int) -> bool:
        """Whether there may be more to do at once."""
        if self._request is None:
            request = self._reader.next_request()
            if request is None:
                return False
            self._request = request
            self.connection.is_idle, self.connection.deadline_ns = False, None
            if request.expects_continue:
                self.connection.send(CONTINUE)
        elif self._reader.state is not State.BODY:
            return False
        self._body += self._reader.body()
        if not self._reader.body_complete:
            return False
        body, self._body = bytes(self._body), bytearray()
        self._route(self, self._request, body, now_ns)
        return not self._is_taken

    def take_rest(self) -> bytes:
        """The connection is for something else now. Returns what followed the request."""
        self._is_taken = True
        return self._reader.take_rest()

    def answer(
        self,
        status: int,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        now_ns: int,
    ) -> None:
        """Answers the request that was routed last."""
        connection, request = self.connection, self._request
        if connection.is_closing or request is None:
            return
        stays = self._reader.answered(now_ns) and connection.unsent_bytes < MAX_WAITING_BYTES
        closing = () if stays else (("Connection", "close"),)
        whole = (*FIELDS, ("Content-Security-Policy", POLICY), *fields, *closing)
        connection.send(response(status, whole, body, without_body=request.method == "HEAD"))
        self._request = None
        connection.is_idle = True
        if not stays:
            connection.close_when_sent()
        self._server.touch(connection)

    def say(
        self,
        status: int,
        text: str,
        fields: Iterable[tuple[str, str]] = (),
        *,
        now_ns: int,
    ) -> None:
        """Answers with a line for people."""
        kind = ("Content-Type", "text/plain; charset=utf-8")
        self.answer(status, (kind, NO_STORE, *fields), f"{text}\n".encode(), now_ns=now_ns)

    def resume(self, now_ns: int) -> None:
        """An answer was given later: what came meanwhile is looked at."""
        if not self._is_taken and self._request is None:
            self._go_on(now_ns)

    def _refuse(self, error: HttpError) -> None:
        kind = (("Content-Type", "text/plain; charset=utf-8"), NO_STORE, ("Connection", "close"))
        whole = (*FIELDS, ("Content-Security-Policy", POLICY), *kind, *error.fields)
        self.connection.send(response(error.status, whole, f"{error}\n".encode()))
        self.connection.close_when_sent()

    def drained(self) -> None:
        """All is sent."""

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        if self._is_taken or self.connection.is_closing:
            return
        was_idle = self._reader.state is State.IDLE
        try:
            self._reader.handle_timeout(now_ns)
        except HttpError as error:
            if was_idle:
                self._server.drop(self.connection)
            else:
                self._refuse(error)
                self._server.touch(self.connection)

    def gone(self) -> None:
        """The connection is no more."""
        self._is_taken = True
