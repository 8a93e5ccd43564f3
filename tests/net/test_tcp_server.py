"""The TCP pump, with a handler that only writes down what happens."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from echowarp.net import tcp_server
from echowarp.net.sockets import open_server_sockets
from echowarp.net.tcp_server import MAX_UNSENT_BYTES, STOP_GRACE_NS, TcpServer
from tests.net.pumped import Pumped
from tests.processes import wait_until

LOOPBACK = "127.0.0.1"


class Recorder:
    """A ControlHandler that answers what it is told to."""

    def __init__(self) -> None:
        self.happened: list[tuple[Any, ...]] = []
        self.out: list[tuple[int, bytes, bool]] = []
        self.due_ns: int | None = None
        self.threads: set[int] = set()
        self.greeting = b""

    def connected(self, connection: int, host: str, now_ns: int) -> None:
        self.happened.append(("connected", connection, host))
        self.threads.add(threading.get_ident())
        if self.greeting:
            self.out.append((connection, self.greeting, False))

    def received(self, connection: int, data: bytes, now_ns: int) -> None:
        self.happened.append(("received", connection, data))

    def disconnected(self, connection: int, now_ns: int) -> None:
        self.happened.append(("disconnected", connection))

    def timeout_ns(self) -> int | None:
        return self.due_ns

    def handle_timeout(self, now_ns: int) -> None:
        self.happened.append(("timeout", self.due_ns is not None and now_ns >= self.due_ns))
        self.due_ns = None

    def to_send(self) -> list[tuple[int, bytes, bool]]:
        out, self.out = self.out, []
        return out

    def got(self, connection: int) -> bytes:
        return b"".join(e[2] for e in self.happened if e[:2] == ("received", connection))

    def has(self, *event: object) -> None:
        wait_until(lambda: event in self.happened, f"{event} in {self.happened}")


class Bench:
    """A running server and its handler."""

    def __init__(self, bind: str = LOOPBACK, read_bytes: int = 2048) -> None:
        self.sockets = open_server_sockets(bind, 0)
        self.handler = Recorder()
        self.turns = self.connections = 0
        self.server = TcpServer(
            self.sockets.tcp, self.handler, read_bytes=read_bytes, on_progress=self._progress
        )
        self.pump = Pumped(self.server.run, self.server.stop)
        self.bind = bind

    def _progress(self, now_ns: int) -> None:
        self.turns += 1

    def connect(self) -> socket.socket:
        """A connection that has been accepted; they are numbered from 1."""
        sock = socket.create_connection((self.bind, self.sockets.port), timeout=10)
        self.connections += 1
        self.handler.has("connected", self.connections, self.bind)
        return sock

    def send(self, connection: int, data: bytes, *, close: bool = False) -> None:
        def act(now_ns: int) -> None:
            self.handler.out.append((connection, data, close))

        self.server.post(act)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with made.pump:
        yield made
    made.sockets.close()


def read_all(sock: socket.socket) -> bytes:
    pieces = []
    while piece := sock.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def test_bytes_come_and_go_whole_and_in_order(bench: Bench) -> None:
    """More than the kernel's buffers hold in one piece, both ways, two peers."""
    with bench.connect() as one, bench.connect() as two:
        data = os.urandom(50_000)
        one.sendall(data)
        two.sendall(b"2")
        wait_until(lambda: bench.handler.got(1) == data, "all has come")
        bench.handler.has("received", 2, b"2")
        for piece in (data[:20_000], data[20_000:40_000], data[40_000:]):
            bench.send(1, piece)
        bench.send(2, b"bye", close=True)
        assert read_all(two) == b"bye"
        got = b""
        while len(got) < len(data):
            got += one.recv(65_536)
        assert got == data
    bench.handler.has("disconnected", 1)
    assert ("connected", 1, LOOPBACK) in bench.handler.happened
    assert all(len(e[2]) <= 2048 for e in bench.handler.happened if e[0] == "received")
    assert bench.handler.threads == {bench.pump.thread.ident}


def test_a_greeting_goes_out_at_once(bench: Bench) -> None:
    bench.handler.greeting = b"hello"
    with bench.connect() as sock:
        assert sock.recv(100) == b"hello"


def test_timeouts_are_kept(bench: Bench) -> None:
    """Also one that is set from another thread while the pump sleeps for ever."""
    due_ns = time.monotonic_ns() + 50_000_000

    def act(now_ns: int) -> None:
        bench.handler.due_ns = due_ns

    bench.server.post(act)
    bench.handler.has("timeout", True)
    assert time.monotonic_ns() >= due_ns


def test_an_idle_server_sleeps(bench: Bench) -> None:
    with bench.connect():
        before = bench.turns
        time.sleep(0.3)
        assert bench.turns - before <= 2


def test_a_peer_that_does_not_read_is_closed_at_64_kib(bench: Bench) -> None:
    with bench.connect() as sock:
        sent = 0
        while ("disconnected", 1) not in bench.handler.happened:
            assert sent < 64 << 20
            turn = bench.turns
            bench.send(1, bytes(16_384))
            sent += 16_384
            wait_until(lambda n=turn: bench.turns > n, "a turn")  # type: ignore[misc]
        assert sent > MAX_UNSENT_BYTES
        bench.send(1, b"nobody is there")
        bench.send(77, b"nor was here ever")
        with bench.connect() as other:
            bench.send(2, b"alive")
            assert other.recv(10) == b"alive"
        del sock


def test_last_words_reach_a_peer_that_has_sent_too_much(bench: Bench) -> None:
    """Closing with unread data would reset the connection and lose them."""
    with bench.connect() as sock:
        bench.send(1, b"\x00\x03\x0f\x01\x90", close=True)
        for _ in range(20):
            with contextlib.suppress(OSError):
                sock.sendall(bytes(10_000))
        assert read_all(sock) == b"\x00\x03\x0f\x01\x90"
    assert bench.handler.got(1) == b"" or set(bench.handler.got(1)) == {0}


def test_a_closed_peer_that_stays_is_dropped_after_the_linger(bench: Bench) -> None:
    with bench.connect() as sock:
        bench.send(1, b"bye", close=True)
        assert read_all(sock) == b"bye"
        begun_s = time.monotonic()
        while True:
            try:
                sock.sendall(b"x")
            except OSError as error:
                assert error.errno in (errno.EPIPE, errno.ECONNRESET)
                break
            assert time.monotonic() < begun_s + 10
            time.sleep(0.02)


def test_a_reset_is_a_disconnection(bench: Bench) -> None:
    with bench.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bench.handler.has("disconnected", 1)


def test_no_descriptors_left_is_survived(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections wait in the backlog until there are some again; the pump does not spin."""
    monkeypatch.setattr(tcp_server, "ACCEPT_PAUSE_NS", 50_000_000)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    waiting.settimeout(10)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        waiting.connect((LOOPBACK, bench.sockets.port))
        turns = bench.turns
        time.sleep(0.3)
        assert bench.turns - turns < 30
        assert bench.handler.happened == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with waiting:
        bench.handler.has("connected", 1, LOOPBACK)


class TestStop:
    def test_is_at_once_when_nothing_closes(self) -> None:
        bench = Bench()
        begun_s = time.monotonic()
        with bench.pump, bench.connect():
            pass
        assert time.monotonic() - begun_s < 5
        bench.sockets.close()

    def test_waits_for_a_goodbye_to_be_read(self) -> None:
        bench = Bench()
        with bench.pump:
            sock = bench.connect()
            bench.send(1, b"goodbye", close=True)
            bench.server.stop()
            assert read_all(sock) == b"goodbye"
            sock.close()
        bench.sockets.close()

    def test_a_peer_that_stays_gets_the_grace_and_no_more(self) -> None:
        bench = Bench()
        with bench.pump:
            sock = bench.connect()
            bench.send(1, b"goodbye", close=True)
            assert sock.recv(100) == b"goodbye"
            begun_ns = time.monotonic_ns()
            bench.server.stop()
            bench.pump.thread.join(10)
            took_ns = time.monotonic_ns() - begun_ns
            assert not bench.pump.thread.is_alive()
            assert took_ns > STOP_GRACE_NS * 0.9
            sock.close()
        bench.sockets.close()

    def test_leaves_no_descriptors(self) -> None:
        def held() -> int:
            return len(os.listdir("/proc/self/fd"))

        before = held()
        for _ in range(3):
            bench = Bench()
            with bench.pump, bench.connect(), bench.connect():
                pass
            bench.sockets.close()
        assert held() == before
