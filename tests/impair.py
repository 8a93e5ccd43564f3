"""A bad network in userspace: forwards TCP and UDP between two ports of loopback.

What becomes of a datagram from the server is a pure function of its number, so a
test knows which ones were lost. Both transports are forwarded from 127.0.0.1, so
the server sees one address.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from types import TracebackType

from tests.processes import LOOPBACK

MAX_BYTES = 65_536

Fate = Callable[[int], tuple[float, ...]]
"""From the number of a datagram to the delays of its copies, seconds; none: lost."""


def untouched(number: int) -> tuple[float, ...]:
    """Every datagram passes at once."""
    return (0.0,)


def seeded(
    seed: int,
    *,
    loss: float = 0.0,
    duplicate: float = 0.0,
    late: float = 0.0,
    late_s: float = 0.03,
    only: range = range(1 << 32),
) -> Fate:
    """Loses, doubles and delays with these probabilities, 0..1, the datagrams in `only`."""

    def fate(number: int) -> tuple[float, ...]:
        if number not in only:
            return (0.0,)
        chance = random.Random(seed << 32 | number)
        if chance.random() < loss:
            return ()
        delay_s = late_s if chance.random() < late else 0.0
        return (delay_s,) * (2 if chance.random() < duplicate else 1)

    return fate


class _Pipe:
    """A TCP connection through the proxy: both its ends."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = {client: server, server: client}

    def reset(self) -> None:
        for end in self.ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()

    def close(self) -> None:
        for end in self.ends:
            end.close()


class Proxy:
    """Forwards `port`, which it chooses with `free_port`, to `server_port`.

    fate: what becomes of each datagram to the client.
    """

    def __init__(self, port: int, server_port: int, fate: Fate = untouched) -> None:
        self.port = port
        self._server = (LOOPBACK, server_port)
        self._fate = fate
        self._selector = selectors.DefaultSelector()
        self._orders: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._wake, self._waker = socket.socketpair()
        self._tcp: socket.socket | None = None
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._pipes: list[_Pipe] = []
        self._clients: dict[tuple[str, int], socket.socket] = {}
        self._delayed: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._order = count()
        self._is_cut = self._running = False
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self.to_client = 0
        """Datagrams that the server has sent to clients."""
        self.while_cut = 0
        """How many of them came while the network was cut, and were lost."""

    def __enter__(self) -> Proxy:
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
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

        self._call(stop)
        self._thread.join()

    def cut(self) -> None:
        """From now on nothing passes: datagrams are lost, TCP stands still."""

        def act() -> None:
            self._is_cut = True
            self._delayed.clear()
            for end in self._ends():
                self._selector.unregister(end)

        self._call(act)

    def mend(self) -> None:
        """Everything passes again; what TCP held goes on."""

        def act() -> None:
            self._is_cut = False
            for end, pipe in self._ends().items():
                self._selector.register(end, selectors.EVENT_READ, self._pumps(pipe, end))
            if self._tcp is None:
                self._listen()

        self._call(act)

    def refuse(self) -> None:
        """Like `cut`, but TCP connections are reset and new ones refused."""
        self.cut()

        def act() -> None:
            for pipe in self._pipes:
                pipe.reset()
            self._pipes.clear()
            if self._tcp is not None:
                self._selector.unregister(self._tcp)
                self._tcp.close()
                self._tcp = None

        self._call(act)

    # On the proxy's own thread.

    def _call(self, act: Callable[[], None]) -> None:
        done = threading.Event()
        self._orders.put((act, done))
        self._waker.send(b"\0")
        assert done.wait(10), "the proxy's thread has died"

    def _obey(self) -> None:
        self._wake.recv(1)
        act, done = self._orders.get()
        act()
        done.set()

    def _run(self) -> None:
        while self._running:
            patience_s = self._delayed[0][0] - time.monotonic() if self._delayed else None
            ready = self._selector.select(None if patience_s is None else max(0.0, patience_s))
            for key, _ in ready:
                if isinstance(key.fileobj, socket.socket) and key.fileobj.fileno() >= 0:
                    key.data()
            now_s = time.monotonic()
            while self._delayed and self._delayed[0][0] <= now_s:
                _, _, datagram, client = heapq.heappop(self._delayed)
                self._udp.sendto(datagram, client)
        for pipe in self._pipes:
            pipe.close()
        for sock in (self._tcp, self._udp, *self._clients.values(), self._wake, self._waker):
            if sock is not None:
                sock.close()
        self._selector.close()

    def _ends(self) -> dict[socket.socket, _Pipe]:
        return {end: pipe for pipe in self._pipes for end in pipe.ends}

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
        pipe = _Pipe(client, server)
        self._pipes.append(pipe)
        if not self._is_cut:
            for end in pipe.ends:
                self._selector.register(end, selectors.EVENT_READ, self._pumps(pipe, end))

    def _pumps(self, pipe: _Pipe, end: socket.socket) -> Callable[[], None]:
        def pump() -> None:
            try:
                data = end.recv(MAX_BYTES)
                pipe.ends[end].sendall(data)
            except OSError:
                data = b""
            if not data:
                for each in pipe.ends:
                    self._selector.unregister(each)
                pipe.close()
                self._pipes.remove(pipe)

        return pump

    def _from_client(self) -> None:
        datagram, address = self._udp.recvfrom(MAX_BYTES)
        if self._is_cut:
            return
        if address not in self._clients:
            upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            upstream.connect(self._server)
            self._clients[address] = upstream
            self._selector.register(
                upstream, selectors.EVENT_READ, lambda: self._from_server(upstream, address)
            )
        with contextlib.suppress(ConnectionError):  # the server may be away
            self._clients[address].send(datagram)

    def _from_server(self, upstream: socket.socket, client: tuple[str, int]) -> None:
        try:
            datagram = upstream.recv(MAX_BYTES)
        except ConnectionError:
            return  # the server is away
        self.to_client += 1
        if self._is_cut:
            self.while_cut += 1
            return
        for delay_s in self._fate(int.from_bytes(datagram[10:18], "big")):
            if delay_s:
                due_s = time.monotonic() + delay_s
                heapq.heappush(self._delayed, (due_s, next(self._order), datagram, client))
            else:
                self._udp.sendto(datagram, client)
