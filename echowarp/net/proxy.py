"""A bad network in userspace: forwards TCP and UDP between two ports of loopback."""

from __future__ import annotations

import contextlib
import heapq
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from queue import SimpleQueue
from types import TracebackType
from typing import TypeAlias

from echowarp.errors import EchoWarpError
from echowarp.net.sockets import grow_buffers

LOOPBACK = "127.0.0.1"
MAX_BYTES = 65_536
ORDER_S = 10.0
"""Longer than the thread can be busy with anything else."""

_FIRST_PORT, _PORTS, _STEP = 10_000, 20_000, 97
"""Below what systems give to outgoing connections, which would take a port between
its choice and its use."""

_NOTHING = (BlockingIOError, ConnectionError)
"""A datagram that cannot be had or passed on now. That a peer is away is told once, to
whichever call comes next: a socket that was readable for it may have nothing to read."""

Fate: TypeAlias = Callable[[bytes], tuple[float, ...]]
"""From a datagram to the delays of its copies, seconds; none: it is lost."""


class Pipe:
    """A TCP connection through the proxy: both its ends."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = {client: server, server: client}

    def close(self) -> None:
        """Ends it."""
        for end in self.ends:
            end.close()


class Proxy:
    """Forwards `port` to `server_port` while it is entered, on a thread of its own.

    Both transports go on from 127.0.0.1, so the server sees one address.
    down, up: what becomes of each datagram to the clients, and to the server, asked
    on the thread; tcp_delay_s: how long all of TCP is under way. Delays are kept
    within a millisecond or two, as selectors are.
    """

    def __init__(
        self, port: int, server_port: int, *, down: Fate, up: Fate, tcp_delay_s: float = 0.0
    ) -> None:
        self.port = port
        self._server = (LOOPBACK, server_port)
        self._down, self._up = down, up
        self._tcp_delay_s = tcp_delay_s
        self._selector = selectors.DefaultSelector()
        self._orders: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._wake, self._waker = socket.socketpair()
        self._tcp: socket.socket | None = None
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._pipes: list[Pipe] = []
        self._clients: dict[tuple[str, int], socket.socket] = {}
        self._delayed: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._running = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._ready(self._udp)
        self._udp.bind((LOOPBACK, self.port))
        self._selector.register(self._udp, selectors.EVENT_READ, self._from_client)
        self._selector.register(self._wake, selectors.EVENT_READ, self._obey)
        self._listen()
        self._running = True
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        def stop() -> None:
            self._running = False

        if self._thread.is_alive():
            self._call(stop)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _call(self, act: Callable[[], None]) -> None:
        """Has the thread do it, and waits until it is done."""
        done = threading.Event()
        self._orders.put((act, done))
        self._waker.send(b"\0")
        assert done.wait(ORDER_S), "the proxy's thread has died"

    @staticmethod
    def _ready(udp: socket.socket) -> None:
        grow_buffers(udp)
        udp.setblocking(False)

    # On the proxy's own thread.

    def _obey(self) -> None:
        self._wake.recv(1)
        act, done = self._orders.get()
        act()
        done.set()

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error = error
        finally:
            for pipe in self._pipes:
                pipe.close()
            for sock in (self._tcp, self._udp, *self._clients.values(), self._wake, self._waker):
                if sock is not None:
                    sock.close()
            self._selector.close()

    def _run(self) -> None:
        while self._running:
            patience_s = self._delayed[0][0] - time.monotonic() if self._delayed else None
            ready = self._selector.select(None if patience_s is None else max(0.0, patience_s))
            for key, _ in ready:
                if isinstance(key.fileobj, socket.socket) and key.fileobj.fileno() >= 0:
                    key.data()
            now_s = time.monotonic()
            while self._delayed and self._delayed[0][0] <= now_s:
                heapq.heappop(self._delayed)[2]()

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        if delay_s <= 0:
            act()
        else:
            heapq.heappush(self._delayed, (time.monotonic() + delay_s, next(self._order), act))

    def _listen(self) -> None:
        self._tcp = socket.create_server((LOOPBACK, self.port))
        self._selector.register(self._tcp, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        assert self._tcp is not None
        client, _ = self._tcp.accept()
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        pipe = Pipe(client, server)
        self._pipes.append(pipe)
        self._open(pipe)

    def _open(self, pipe: Pipe) -> None:
        for end in pipe.ends:
            self._selector.register(end, selectors.EVENT_READ, self._pumps(pipe, end))

    def _pumps(self, pipe: Pipe, end: socket.socket) -> Callable[[], None]:
        def pump() -> None:
            try:
                data = end.recv(MAX_BYTES)
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(end)
            self._after(self._tcp_delay_s, lambda: self._pass_on(pipe, end, data))

        return pump

    def _pass_on(self, pipe: Pipe, end: socket.socket, data: bytes) -> None:
        """data: none at the end of the connection, which ends both directions."""
        if pipe not in self._pipes:
            return
        if data:
            try:
                pipe.ends[end].sendall(data)
                return
            except OSError:
                pass  # that end has gone: so does the other
        for each in pipe.ends:
            with contextlib.suppress(KeyError):
                self._selector.unregister(each)
        pipe.close()
        self._pipes.remove(pipe)

    def _from_client(self) -> None:
        try:
            datagram, address = self._udp.recvfrom(MAX_BYTES)
        except _NOTHING:
            return
        if address not in self._clients:
            upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._ready(upstream)
            upstream.connect(self._server)
            self._clients[address] = upstream
            self._selector.register(
                upstream, selectors.EVENT_READ, lambda: self._from_server(upstream, address)
            )

        def send() -> None:
            with contextlib.suppress(*_NOTHING):
                self._clients[address].send(datagram)

        for delay_s in self._up(datagram):
            self._after(delay_s, send)

    def _from_server(self, upstream: socket.socket, client: tuple[str, int]) -> None:
        try:
            datagram = upstream.recv(MAX_BYTES)
        except _NOTHING:
            return

        def send() -> None:
            with contextlib.suppress(*_NOTHING):
                self._udp.sendto(datagram, client)

        for delay_s in self._down(datagram):
            self._after(delay_s, send)


def free_ports() -> Iterator[int]:
    """Ports of loopback that are free for TCP and UDP now. Raises EchoWarpError for none."""
    for n in range(_PORTS):
        port = _FIRST_PORT + (os.getpid() * _STEP + n) % _PORTS
        if all(_is_free(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            yield port
    raise EchoWarpError("no port of loopback is free for both TCP and UDP")


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
