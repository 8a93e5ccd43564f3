"""The proxy between real sockets of loopback: who decides, both ways, and how late."""

from __future__ import annotations

import socket
import threading
import time

from echowarp.net.proxy import LOOPBACK, Fate, Proxy, free_ports

PATIENCE_S = 5.0


def always(*delays_s: float) -> Fate:
    return lambda datagram: delays_s


def udp(port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((LOOPBACK, port))
    made.settimeout(PATIENCE_S)
    return made


def test_datagrams_fare_as_each_direction_says() -> None:
    ports = free_ports()
    server_port, port = next(ports), next(ports)
    losing = lambda datagram: () if datagram == b"lost" else (0.0, 0.0)  # noqa: E731
    with (
        udp(server_port) as server,
        udp() as client,
        Proxy(port, server_port, down=always(0.05), up=losing),
    ):
        for datagram in (b"lost", b"twice"):
            client.sendto(datagram, (LOOPBACK, port))
        (first, address), (second, _) = server.recvfrom(99), server.recvfrom(99)
        assert first == second == b"twice"
        sent_s = time.monotonic()
        server.sendto(b"late", address)
        assert client.recv(99) == b"late"
        assert time.monotonic() - sent_s >= 0.049


def test_tcp_is_late_in_order_and_ends() -> None:
    ports = free_ports()
    server_port, port = next(ports), next(ports)
    with (
        socket.create_server((LOOPBACK, server_port)) as listening,
        Proxy(port, server_port, down=always(), up=always(), tcp_delay_s=0.05),
        socket.create_connection((LOOPBACK, port)) as client,
    ):
        listening.settimeout(PATIENCE_S)
        server, _ = listening.accept()
        server.settimeout(PATIENCE_S)
        with server:
            sent_s = time.monotonic()
            client.sendall(b"one ")
            client.sendall(b"two")
            client.shutdown(socket.SHUT_WR)
            got = b""
            while piece := server.recv(99):
                got += piece
            assert got == b"one two"
            assert time.monotonic() - sent_s >= 0.049


def test_a_client_is_turned_away_where_no_server_is() -> None:
    ports = free_ports()
    server_port, port = next(ports), next(ports)
    with (
        Proxy(port, server_port, down=always(0.0), up=always(0.0)),
        socket.create_connection((LOOPBACK, port)) as client,
    ):
        client.settimeout(PATIENCE_S)
        assert client.recv(99) == b""


def test_a_server_that_has_gone_does_not_hold_it_up() -> None:
    """That nobody takes a datagram is told to whichever call comes next: here to the
    sending of the second, so that there is nothing left to receive."""
    ports = free_ports()
    server_port, port = next(ports), next(ports)
    both_are_there, first_is_sent = threading.Event(), threading.Event()

    def up(datagram: bytes) -> tuple[float, ...]:
        assert both_are_there.wait(PATIENCE_S)
        if datagram == b"second":
            first_is_sent.set()
        return (0.0,)

    with udp() as client, Proxy(port, server_port, down=always(0.0), up=up):
        client.sendto(b"first", (LOOPBACK, port))
        client.sendto(b"second", (LOOPBACK, port))
        both_are_there.set()
        assert first_is_sent.wait(PATIENCE_S)
        with udp(server_port) as server:
            client.sendto(b"third", (LOOPBACK, port))
            assert server.recv(99) == b"third"
