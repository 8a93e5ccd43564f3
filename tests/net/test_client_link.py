"""The client's sockets."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from echowarp.errors import ConnectError
from echowarp.net import client_link
from echowarp.net.client_link import TcpLink, connect, receive_datagram, send_datagram
from echowarp.net.waker import Waker
from tests.processes import free_port

FAR_NS = 60_000_000_000


def soon_ns(seconds: float = 0.0) -> int:
    return time.monotonic_ns() + round(seconds * 1e9)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(10)
        yield sock


@pytest.fixture
def waker() -> Iterator[Waker]:
    made = Waker()
    yield made
    made.close()


@pytest.fixture
def linked(listening: socket.socket, waker: Waker) -> Iterator[tuple[TcpLink, socket.socket]]:
    """A link, and the server's end of it."""
    link = TcpLink(connect("127.0.0.1", listening.getsockname()[1]), waker)
    far, _ = listening.accept()
    far.settimeout(10)
    yield link, far
    link.close()
    far.close()


class TestConnect:
    def test_nothing_listens(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ConnectError, match=r"nothing listens there.*is the server running"):
            connect("127.0.0.1", free_port())
        assert len(os.listdir("/proc/self/fd")) == before

    @pytest.mark.parametrize("host", ["nobody.invalid", "a" * 64 + ".invalid", "..", "ex ample"])
    def test_no_such_name(self, host: str) -> None:
        with pytest.raises(ConnectError, match="cannot be resolved"):
            connect(host, 4415)

    def test_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A listener whose backlog is full answers as little as a firewall does."""
        monkeypatch.setattr(client_link, "CONNECT_TIMEOUT_S", 0.2)
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            held: list[socket.socket] = []
            with pytest.raises(ConnectError, match=r"no answer.*check the address"):
                held.extend(connect("127.0.0.1", port) for _ in range(10))
            for sock in held:
                sock.close()

    def test_the_next_address_of_a_name_is_tried(
        self, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """localhost may be ::1 first, while the server listens on IPv4 only."""
        port = listening.getsockname()[1]
        found = [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
        sock = connect("localhost", port)
        assert sock.getpeername() == ("127.0.0.1", port)
        assert not sock.getblocking()
        sock.close()


class TestTcpLink:
    def test_bytes_both_ways(self, linked: tuple[TcpLink, socket.socket]) -> None:
        link, far = linked
        far.sendall(b"hello")
        assert link.wait(soon_ns(10), 3) == b"hel"
        assert link.wait(soon_ns(10), 3) == b"lo"
        link.send(b"hi")
        assert far.recv(10) == b"hi"

    def test_nothing_comes(self, linked: tuple[TcpLink, socket.socket]) -> None:
        link, _ = linked
        until_ns = soon_ns(0.05)
        assert link.wait(until_ns, 100) is None
        assert time.monotonic_ns() >= until_ns - 1_000_000
        assert link.wait(soon_ns(-1), 100) is None

    def test_the_end(self, linked: tuple[TcpLink, socket.socket]) -> None:
        link, far = linked
        far.close()
        assert link.wait(soon_ns(10), 100) == b""

    def test_a_reset_while_sending_shows_in_wait(
        self, linked: tuple[TcpLink, socket.socket]
    ) -> None:
        link, far = linked
        link.send(b"unread")
        far.close()
        assert link.wait(soon_ns(10), 100) == b""
        for _ in range(5):
            link.send(b"more")
        assert link.wait(soon_ns(10), 100) == b""

    def test_the_waker_ends_the_wait(
        self, linked: tuple[TcpLink, socket.socket], waker: Waker
    ) -> None:
        link, _ = linked
        begun_s = time.monotonic()
        timer = threading.Timer(0.05, waker.wake)
        timer.start()
        assert link.wait(soon_ns(30), 100) is None
        assert time.monotonic() - begun_s < 10
        timer.join()

    def test_what_the_kernel_does_not_take_goes_later(
        self, linked: tuple[TcpLink, socket.socket]
    ) -> None:
        link, far = linked
        data, got = bytearray(), bytearray()
        # Until the kernel takes no more and half of what may wait for it waits.
        while link.unsent_bytes < 32768:
            data += (piece := os.urandom(16384))
            link.send(piece)

        def read() -> None:
            while len(got) < len(data):
                got.extend(far.recv(1 << 20))

        reader = threading.Thread(target=read)
        reader.start()
        while reader.is_alive():
            assert link.wait(soon_ns(0.1), 100) is None
        assert got == data

    def test_a_server_that_does_not_read_is_given_up(
        self, linked: tuple[TcpLink, socket.socket]
    ) -> None:
        link, _ = linked
        link.send(bytes(8 << 20))
        assert link.unsent_bytes == 0
        assert link.wait(soon_ns(30), 100) == b""

    def test_udp_is_between_the_same_addresses(
        self, linked: tuple[TcpLink, socket.socket], listening: socket.socket
    ) -> None:
        """From our TCP address, any port, to the server's address and port; others are
        not heard."""
        link, _ = linked
        with link.open_udp() as udp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            assert udp.getpeername() == listening.getsockname()
            assert udp.getsockname()[0] == "127.0.0.1"
            server.bind(listening.getsockname())
            server.settimeout(10)
            assert send_datagram(udp, b"ping")
            data, client = server.recvfrom(100)
            assert data == b"ping"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"forged", client)
            server.sendto(b"pong", client)
            assert receive_datagram(udp, 100) == b"pong"


class TestDatagrams:
    def test_silence_is_none(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.settimeout(0.05)
            assert receive_datagram(udp, 100) is None

    def test_nobody_there_is_no_error(self) -> None:
        """The kernel tells by ICMP, at the next call: a lost network, no failure of ours."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", free_port()))
            udp.settimeout(0.05)
            outcomes = []
            for _ in range(4):
                outcomes.append(send_datagram(udp, b"x"))
                assert receive_datagram(udp, 100) is None
            assert True in outcomes

    def test_too_large_is_not_taken(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", free_port()))
            assert not send_datagram(udp, bytes(70_000))
