"""The protocol code of the web on real sockets: a server that sends back what it gets, and a
client."""

from __future__ import annotations

import os
import socket
import threading
import time
from types import TracebackType

from echowarp.wire.http import Request, RequestReader
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_target import parse_ws_uri
from echowarp.wire.http_values import content_range, parse_range
from echowarp.wire.http_writer import CONTINUE, head, response
from echowarp.wire.websocket import (
    BinaryMessage,
    Role,
    TextMessage,
    WebSocket,
    WebSocketEvent,
)
from echowarp.wire.websocket_handshake import ClientHandshake, accept_websocket, wants_websocket

LOOPBACK = "127.0.0.1"
MOST_BYTES = 1 << 20
PAGE = bytes(range(256)) * 16
WAIT_S = 10.0


class EchoWeb:
    """An HTTP server with a page at `/` that sends back what is posted to it or said over a
    WebSocket."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.happened: list[WebSocketEvent] = []
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> EchoWeb:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_S)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(WAIT_S)
        reader = RequestReader(time.monotonic_ns(), max_body_bytes=MOST_BYTES)
        with connection:
            try:
                while (request := self._next(connection, reader)) is not None:
                    self.requests.append(request)
                    if wants_websocket(request):
                        connection.sendall(accept_websocket(request))
                        self._echo(connection, reader.take_rest())
                        return
                    self._answer(connection, reader, request)
                    if not reader.answered(time.monotonic_ns()):
                        return
            except HttpError as error:
                connection.sendall(response(error.status, error.fields, str(error).encode()))

    def _next(self, connection: socket.socket, reader: RequestReader) -> Request | None:
        while (request := reader.next_request()) is None:
            data = connection.recv(65_536)
            if not data:
                return None
            reader.receive(data, time.monotonic_ns())
        return request

    def _answer(self, connection: socket.socket, reader: RequestReader, request: Request) -> None:
        if request.expects_continue:
            connection.sendall(CONTINUE)
        content = reader.body()
        while not reader.body_complete:
            reader.receive(connection.recv(65_536), time.monotonic_ns())
            content += reader.body()
        if request.method == "POST":
            connection.sendall(response(200, (), content))
        elif (wanted := parse_range(request.headers, len(PAGE))) is not None:
            fields = (("Content-Range", content_range(wanted, len(PAGE))),)
            part = PAGE[wanted.start : wanted.stop]
            connection.sendall(head(206, fields, body_bytes=len(part)) + part)
        else:
            connection.sendall(response(200, (), PAGE, without_body=request.method == "HEAD"))

    def _echo(self, connection: socket.socket, data: bytes) -> None:
        end = WebSocket(Role.SERVER, max_message_bytes=MOST_BYTES)
        while True:
            end.receive(data, time.monotonic_ns())
            for event in end.events():
                self.happened.append(event)
                if isinstance(event, TextMessage):
                    end.send_text(event.text)
                elif isinstance(event, BinaryMessage):
                    end.send_binary(event.data)
            for piece in end.to_send():
                connection.sendall(piece)
            if end.closed:
                return
            data = connection.recv(65_536)
            if not data:
                end.receive_eof()


class Talk:
    """Our client on a blocking socket."""

    def __init__(self, uri: str) -> None:
        parsed = parse_ws_uri(uri)
        self.socket = socket.create_connection((parsed.host, parsed.port), WAIT_S)
        handshake = ClientHandshake(parsed, os.urandom)
        self.socket.sendall(handshake.request)
        try:
            while not handshake.receive(self.socket.recv(65_536)):
                pass
        except HttpError:
            self.socket.close()
            raise
        self.end = WebSocket(Role.CLIENT, max_message_bytes=MOST_BYTES, random_bytes=os.urandom)
        self.end.receive(handshake.take_rest(), time.monotonic_ns())

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Sends what is queued."""
        for piece in self.end.to_send():
            self.socket.sendall(piece)

    def events(self) -> list[WebSocketEvent]:
        """What happens next; nothing when it is over."""
        self.flush()
        while not (events := self.end.events()) and not self.end.closed:
            data = self.socket.recv(65_536)
            if data:
                self.end.receive(data, time.monotonic_ns())
            else:
                self.end.receive_eof()
            self.flush()
        return events
