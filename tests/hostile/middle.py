"""Somebody between a client and the server, who reads, changes and sends what he likes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from tests.processes import LOOPBACK, free_port

READ_BYTES = 65536

Tamper = Callable[[bytes], Iterable[bytes]]
"""From what came to what is passed on."""


def untouched(data: bytes) -> Iterable[bytes]:
    """Passes everything on as it is."""
    return (data,)


class Middle:
    """Listens on `port`, speaks to the server from `host`, for one client.

    down, up: for each TCP connection gives what tampers with its bytes from, to the
    server; down_datagram, up_datagram: the same for datagrams.
    """

    def __init__(
        self,
        server_port: int,
        host: str,
        *,
        down: Callable[[], Tamper] = lambda: untouched,
        up: Callable[[], Tamper] = lambda: untouched,
        down_datagram: Tamper = untouched,
        up_datagram: Tamper = untouched,
    ) -> None:
        self.port = free_port()
        self.connections = 0
        """How many the client has made."""
        self._server, self._host = (LOOPBACK, server_port), host
        self._down, self._up = down, up
        self._down_datagram, self._up_datagram = down_datagram, up_datagram
        self._client: tuple[str, int] | None = None
        self._sockets: list[socket.socket] = []
        self._listening = self._keep(socket.create_server((LOOPBACK, self.port)))
        self._udp = self._open_udp()
        self._upstream = self._keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.rebind()
        self._spawn(self._accept)
        self._spawn(self._pump_up)

    def rebind(self) -> None:
        """Datagrams reach the server from another port from now on, as after a router's
        restart; what comes to the old one is lost."""
        _close(self._upstream)
        upstream = self._keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        upstream.bind((self._host, 0))
        upstream.connect(self._server)
        self._upstream = upstream
        self._spawn(lambda: self._pump_down(upstream))

    def vanish(self) -> None:
        """Closes the port that the client sends to: it is told that nobody is there."""
        _close(self._udp)

    def appear(self) -> None:
        """Opens it again."""
        self._udp = self._open_udp()
        self._spawn(self._pump_up)

    def close(self) -> None:
        """Ends all connections."""
        for sock in tuple(self._sockets):
            _close(sock)

    def _keep(self, sock: socket.socket) -> socket.socket:
        self._sockets.append(sock)
        return sock

    def _open_udp(self) -> socket.socket:
        udp = self._keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind((LOOPBACK, self.port))
        return udp

    def _spawn(self, work: Callable[[], None]) -> None:
        def quietly() -> None:
            with contextlib.suppress(OSError):
                work()

        threading.Thread(target=quietly, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client = self._keep(self._listening.accept()[0])
            server = socket.create_connection(self._server, source_address=(self._host, 0))
            self._keep(server)
            self.connections += 1
            for source, sink, tamper in (
                (client, server, self._up()),
                (server, client, self._down()),
            ):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._spawn(lambda a=source, b=sink, t=tamper: self._pump(a, b, t))  # type: ignore[misc]

    def _pump(self, source: socket.socket, sink: socket.socket, tamper: Tamper) -> None:
        try:
            while data := source.recv(READ_BYTES):
                for piece in tamper(data):
                    sink.sendall(piece)
        finally:
            _close(source)
            _close(sink)

    def _pump_up(self) -> None:
        udp = self._udp
        while True:
            datagram, client = udp.recvfrom(READ_BYTES)
            if not datagram:
                return  # it has been closed
            self._client = client
            for each in self._up_datagram(datagram):
                with contextlib.suppress(OSError):
                    self._upstream.send(each)

    def _pump_down(self, upstream: socket.socket) -> None:
        while datagram := upstream.recv(READ_BYTES):  # none once it has been closed
            if self._client is not None:
                for each in self._down_datagram(datagram):
                    with contextlib.suppress(OSError):
                        self._udp.sendto(each, self._client)

    def __enter__(self) -> Middle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _close(sock: socket.socket) -> None:
    """Also wakes whoever waits on it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
