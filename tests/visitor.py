"""Those who come to a server's web port: with requests, or with a WebSocket."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from echowarp.wire.http_target import parse_ws_uri
from echowarp.wire.websocket import BinaryMessage, Closed, Role, TextMessage, WebSocket
from echowarp.wire.websocket_handshake import ClientHandshake
from tests.processes import LOOPBACK, PATIENCE_S, Program, Stage, free_port

HEAD = struct.Struct("!IIQ")


class Answer(NamedTuple):
    """An answer. fields: by name in lower case; the last of those with the same name."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@lru_cache(None)
def trusting() -> ssl.SSLContext:
    """TLS that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Door:
    """A server's web port as its visitors see it. host: the address that they come from,
    and the server is at."""

    def __init__(self, port: int, *, host: str = LOOPBACK, tls: bool = False) -> None:
        self.port = port
        self.host = host
        self.tls = tls

    def connect(self, host: str | None = None) -> socket.socket:
        """A connection, from `host` if that is given."""
        source = None if host is None else (host, 0)
        sock = socket.create_connection((self.host, self.port), PATIENCE_S, source)
        return trusting().wrap_socket(sock, server_hostname="localhost") if self.tls else sock

    def ask(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
        host: str | None = None,
    ) -> Answer:
        """The answer to one request."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
        connection.sock = self.connect(host)
        try:
            connection.request(method, path, body, dict(fields or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def log_in(self, password: str, *, host: str | None = None) -> Answer:
        """Sends the form of the login page."""
        fields = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("/login", fields, method="POST", body=_form(password), host=host)

    def socket(
        self, path: str = "/listen", fields: Mapping[str, str] | None = None, **options: Any
    ) -> Ear:
        """A WebSocket. Raises HttpError where it is refused."""
        return Ear(self, path, fields or {}, **options)


def _form(password: str) -> bytes:
    quoted = "".join(f"%{byte:02X}" for byte in password.encode())
    return f"password={quoted}".encode()


class Block(NamedTuple):
    """A block of the stream as a page gets it."""

    stream: int
    seq: int
    time: int
    pcm: bytes


class Ear:
    """A WebSocket to the server."""

    def __init__(
        self, door: Door, path: str, fields: Mapping[str, str], *, host: str | None = None
    ) -> None:
        self.sock = door.connect(host)
        self.closed: Closed | None = None
        self.told: list[dict[str, Any]] = []
        """What came as JSON."""
        self.blocks: list[Block] = []
        uri = parse_ws_uri(f"ws://{door.host}:{door.port}{path}")
        hands = ClientHandshake(uri, os.urandom, fields.items())
        try:
            self.sock.sendall(hands.request)
            while not hands.receive(self._bytes()):
                pass
        except BaseException:
            self.sock.close()
            raise
        self._socket = WebSocket(Role.CLIENT, max_message_bytes=1 << 22, random_bytes=os.urandom)
        self._take(hands.take_rest())

    def _bytes(self) -> bytes:
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionError("the server has closed the connection")
        return data

    def _take(self, data: bytes) -> None:
        self._socket.receive(data, time.monotonic_ns())
        for event in self._socket.events():
            if isinstance(event, TextMessage):
                self.told.append(json.loads(event.text))
            elif isinstance(event, BinaryMessage):
                stream, seq, at = HEAD.unpack_from(event.data)
                self.blocks.append(Block(stream, seq, at, event.data[HEAD.size :]))
            elif isinstance(event, Closed):
                self.closed = event
        self._flush()

    def _flush(self) -> None:
        for piece in self._socket.to_send():
            self.sock.sendall(piece)

    def say(self, message: Mapping[str, Any] | str) -> None:
        """Sends JSON, or a text."""
        self._socket.send_text(message if isinstance(message, str) else json.dumps(message))
        self._flush()

    def say_bytes(self, data: bytes) -> None:
        """Sends bytes."""
        self._socket.send_binary(data)
        self._flush()

    def hang_up(self) -> None:
        """Says goodbye, and waits for theirs."""
        self._socket.close(time.monotonic_ns())
        self._flush()
        self.until_closed()

    def until(self, kind: str) -> dict[str, Any]:
        """Takes the first message of that type from `told`, waiting for it."""
        while True:
            for message in self.told:
                if message["type"] == kind:
                    self.told.remove(message)
                    return message
            assert self.closed is None, (kind, self.closed, self.told)
            self._take(self._bytes())

    def hear(self, blocks: int) -> list[Block]:
        """Waits until so many blocks have come, and takes all."""
        while len(self.blocks) < blocks:
            self._take(self._bytes())
        heard, self.blocks = self.blocks, []
        return heard

    def until_closed(self) -> Closed:
        """Waits for the end."""
        while self.closed is None:
            self._take(self._bytes())
        return self.closed

    def close(self) -> None:
        """Hangs up without a word."""
        self.sock.close()

    def __enter__(self) -> Ear:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(
    stage: Stage, *arguments: str, tls: bool | None = None, **options: Any
) -> tuple[Program, Door]:
    """A server with a web port, whose files are all in the stage's folder. tls: whether
    visitors come by TLS; where there is a password if not given."""
    port, data = free_port(), Path(stage.folder).resolve() / "data"
    options.setdefault("environment", {"XDG_DATA_HOME": str(data)})
    fixed = ("--web_port", str(port), "--cache_dir", str(stage.folder.resolve() / "cache"))
    server = stage.server(*fixed, *arguments, **options)
    with_password = options.get("password", stage.password) is not None
    return server, Door(port, tls=with_password if tls is None else tls)
