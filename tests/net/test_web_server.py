"""The web door's sockets: peers that go away at the wrong moment."""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from echowarp.net.web_connection import Phase, WebConnection
from echowarp.net.web_seams import WebLimits
from echowarp.net.web_server import WebServer
from tests.processes import LOOPBACK, PATIENCE_S

HELLO = b"\x16\x03\x01\x02\x00\x01"
"""How a TLS handshake begins."""


class Echo:
    """Sends back what comes, and hangs up at the end of it."""

    def __init__(self) -> None:
        self.server: WebServer

    def opened(self, connection: WebConnection, now_ns: int) -> None:
        """As of WebHandler."""
        connection.deadline_ns = None

    def received(self, connection: WebConnection, data: bytes, now_ns: int) -> None:
        """As of WebHandler."""
        if data:
            connection.send(data)
        else:
            connection.close_when_sent()

    def drained(self, connection: WebConnection, now_ns: int) -> None:
        """As of WebHandler."""

    def closed(self, connection: WebConnection, now_ns: int) -> None:
        """As of WebHandler."""

    def tick(self, now_ns: int) -> None:
        """As of WebHandler."""


@contextmanager
def serving(listening: socket.socket) -> Iterator[None]:
    """A server on that socket, which must not fail."""
    failures: list[BaseException] = []
    server = WebServer(
        [listening],
        Echo(),
        context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        group=str,
        limits=WebLimits(),
        on_look=lambda now_ns: None,
    )

    def run() -> None:
        try:
            server.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(PATIENCE_S)
    assert not failures


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as sock:
        sock.setblocking(False)
        yield sock


@pytest.mark.parametrize("said", [HELLO, b"GET / HTTP/1.1\r\n", b""])
def test_a_peer_that_is_gone_before_it_is_looked_at(listening: socket.socket, said: bytes) -> None:
    """Its bytes are still there, and TLS cannot be made for it any more."""
    with socket.create_connection(listening.getsockname()) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sendall(said)
    with serving(listening), socket.create_connection(listening.getsockname()) as other:
        other.settimeout(PATIENCE_S)
        other.sendall(b"x")
        assert other.recv(1) == b"x"


def test_a_peer_that_says_no_more_and_takes_nothing() -> None:
    """Its end is seen once; after that only its room is waited for."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = WebConnection(ours, LOOPBACK, 0)
        theirs.sendall(b"G")
        connection.shake_hands(None)
        assert connection.phase is Phase.OPEN and connection.read() == b"G"
        connection.send(bytes(1 << 24))
        assert not connection.write()
        connection.close_when_sent()
        assert connection.wanted == selectors.EVENT_READ | selectors.EVENT_WRITE
        theirs.shutdown(socket.SHUT_WR)
        assert connection.read() == b""
        assert connection.wanted == selectors.EVENT_WRITE
