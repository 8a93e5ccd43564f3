"""The server's sockets, and what is said when there are none to be had."""

from __future__ import annotations

import os
import socket

import pytest

from echowarp.errors import ConfigError
from echowarp.net.sockets import open_server_sockets
from tests.processes import free_port


def test_one_port_for_both() -> None:
    sockets = open_server_sockets("127.0.0.1", 0)
    ports = {each.getsockname()[1] for each in sockets.tcp + sockets.udp}
    assert ports == {sockets.port}
    assert all(not each.getblocking() for each in sockets.tcp + sockets.udp)
    sockets.close()
    assert all(each.fileno() < 0 for each in sockets.tcp + sockets.udp)


def test_all_addresses_are_both_families() -> None:
    sockets = open_server_sockets(None, free_port())
    for family, address in ((socket.AF_INET, "127.0.0.5"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(10)
            sock.connect((address, sockets.port))
    sockets.close()


def test_room_for_a_second_of_audio_is_asked_for() -> None:
    sockets = open_server_sockets("127.0.0.1", 0)
    for each in sockets.udp:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            default = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= max(default, 240_000)
    sockets.close()


def test_a_port_can_be_had_again_at_once() -> None:
    """Connections of the last server are in TIME_WAIT: that must not keep the next away."""
    first = open_server_sockets("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", first.port)) as client:
        first.tcp[0].setblocking(True)
        accepted, _ = first.tcp[0].accept()
        accepted.close()
        assert client.recv(1) == b""
    first.close()
    open_server_sockets("127.0.0.1", first.port).close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use(kind: socket.SocketKind) -> None:
    """Either half of it; and what was opened of the other is closed again."""
    port = free_port()
    before = len(os.listdir("/proc/self/fd"))
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(ConfigError, match=rf"port {port} is in use.*--udp_port"):
            open_server_sockets("127.0.0.1", port)
        with pytest.raises(ConfigError, match=rf"port {port} is in use"):
            open_server_sockets(None, port)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("bind", "words"),
    [("192.0.2.77", "does not have that address"), ("nobody.invalid", "no address here")],
)
def test_an_address_that_is_not_ours(bind: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"--bind {bind}.*{words}") as caught:
        open_server_sockets(bind, free_port())
    assert "\n" not in str(caught.value)
