"""The UDP pump: what comes is handed over, what goes leaves from where it was asked."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from echowarp.net.sockets import ServerSockets, open_server_sockets
from echowarp.net.udp_server import MAX_READS, UdpSender, UdpServer, Way
from tests.net.pumped import Pumped
from tests.processes import free_port, wait_until


class Bench:
    """A running server that answers each datagram with itself, backwards."""

    def __init__(self, bind: str | None, port: int = 0, read_bytes: int = 2048) -> None:
        self.sockets: ServerSockets = open_server_sockets(bind, port)
        self.came: list[tuple[bytes, str, Way]] = []
        self.ticks: list[int] = []
        self.turns: list[int] = []
        """How many had come after each turn."""
        self.due_ns: int | None = None
        self.sender = UdpSender(self.sockets.udp)
        self.server = UdpServer(
            self.sockets.udp,
            read_bytes=read_bytes,
            deliver=self._deliver,
            turned=lambda: self.turns.append(len(self.came)),
            timeout_ns=lambda: self.due_ns,
            tick=self.ticks.append,
        )
        self.pump = Pumped(self.server.run, self.server.stop)

    def _deliver(self, datagram: bytes, host: str, way: Way, now_ns: int) -> None:
        self.came.append((datagram, host, way))
        self.sender.send(datagram[::-1], way)


@pytest.fixture
def everywhere() -> Iterator[Bench]:
    """A server on all addresses."""
    bench = Bench(None, free_port())
    with bench.pump:
        yield bench
    bench.sockets.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"])
def test_the_answer_comes_from_the_address_that_was_asked(everywhere: Bench, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b"abc", (address, everywhere.sockets.port))
        answer, source = sock.recvfrom(100)
        port = sock.getsockname()[1]
    assert answer == b"cba"
    assert source[:2] == (address, everywhere.sockets.port)
    ((datagram, host, way),) = everywhere.came
    assert datagram == b"abc"
    assert host == ("::1" if family == socket.AF_INET6 else "127.0.0.1")
    assert way.port == port


def test_a_connected_socket_accepts_the_answer_from_another_address(everywhere: Bench) -> None:
    """As clients have it: the kernel drops what comes from anywhere else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind(("127.0.0.7", 0))
        sock.connect(("127.0.0.2", everywhere.sockets.port))
        sock.send(b"ab")
        assert sock.recv(100) == b"ba"
    assert everywhere.came[0][1] == "127.0.0.7"


def test_bound_to_one_address() -> None:
    bench = Bench("127.0.0.4")
    with bench.pump, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.4", bench.sockets.port))
        sock.send(b"xy")
        assert sock.recv(100) == b"yx"
    bench.sockets.close()


def test_many_are_all_handed_over_in_order(everywhere: Bench) -> None:
    """More than one turn reads; and an empty one is a datagram as well."""
    sent = [b"%d" % n for n in range(3 * MAX_READS)] + [b""]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", everywhere.sockets.port))
        for datagram in sent:
            sock.send(datagram)
        wait_until(lambda: len(everywhere.came) == len(sent), "all have come")
    assert [datagram for datagram, _, _ in everywhere.came] == sent


def test_what_is_sent_is_counted(everywhere: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", everywhere.sockets.port))
        sock.send(bytes(100))
        sock.recv(200)
        wait_until(lambda: everywhere.sender.sent_bytes == 100, "it is counted")
        way = everywhere.came[0][2]
    everywhere.sender.send(bytes(70_000), way)
    assert everywhere.sender.unsent == 1
    assert everywhere.sender.sent_bytes == 100


def test_a_listener_that_is_gone_is_no_error(everywhere: Bench) -> None:
    """Its ICMP answers surface on our socket; others are served on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.settimeout(10)
        gone.connect(("127.0.0.1", everywhere.sockets.port))
        gone.send(b"ab")
        gone.recv(10)
    way = everywhere.came[0][2]
    for _ in range(50):
        everywhere.sender.send(b"is anybody there", way)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", everywhere.sockets.port))
        sock.send(b"cd")
        assert sock.recv(100) == b"dc"


def test_after_each_turn_whoever_waits_for_it_is_told(everywhere: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", everywhere.sockets.port))
        for n in range(3 * MAX_READS):
            sock.send(b"%d" % n)
        wait_until(lambda: everywhere.turns[-1:] == [3 * MAX_READS], "all have come")
    steps = [after - before for before, after in itertools.pairwise(everywhere.turns)]
    assert max(steps) <= MAX_READS


def test_a_turn_is_taken_when_woken_and_when_it_is_due(everywhere: Bench) -> None:
    wait_until(lambda: everywhere.turns, "the first turn")
    before = len(everywhere.turns)
    everywhere.server.wake()
    wait_until(lambda: len(everywhere.turns) > before, "a turn after waking", patience_s=0.9)
    everywhere.due_ns = time.monotonic_ns() + 50_000_000
    everywhere.server.wake()
    before = len(everywhere.turns)
    wait_until(lambda: time.monotonic_ns() > (everywhere.due_ns or 0), "it is due")
    wait_until(lambda: len(everywhere.turns) > before, "a turn when due", patience_s=0.5)
    everywhere.due_ns = None


def test_ticks_come_without_datagrams() -> None:
    bench = Bench("127.0.0.1")
    with bench.pump:
        wait_until(lambda: len(bench.ticks) >= 2, "two ticks")
    assert bench.ticks[1] - bench.ticks[0] > 500_000_000
    bench.sockets.close()


def test_a_flood_does_not_keep_it_from_stopping() -> None:
    bench = Bench("127.0.0.1")
    flooding = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not flooding.wait(0):
                sock.sendto(bytes(1_000), ("127.0.0.1", bench.sockets.port))

    thread = threading.Thread(target=flood)
    with bench.pump:
        thread.start()
        wait_until(lambda: len(bench.came) > 500, "it is flooded")
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 5
    flooding.set()
    thread.join()
    bench.sockets.close()
