"""The client's sockets: one TCP connection, and UDP from the same local address."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import Any

from echowarp.errors import ConnectError
from echowarp.net.sockets import grow_buffers, resolve, zone_advice
from echowarp.net.waker import Waker

NS_PER_S = 1_000_000_000
CONNECT_TIMEOUT_S = 5.0
"""For each address that the name has."""
MAX_UNSENT_BYTES = 65536
ERROR_PAUSE_S = 0.01
"""So that an error that lasts does not spin."""
UDP_TIMEOUT_S = 0.25
"""How long the UDP thread sleeps before it looks whether it should end."""


def connect(host: str, port: int) -> socket.socket:
    """A TCP connection to the first address of `host` that answers.

    Raises ConnectError with what went wrong.
    """
    try:
        found = resolve(host, port)
    except (socket.gaierror, UnicodeError) as error:
        why = zone_advice(host) or f"the name {host} cannot be resolved: check it, and the network"
        raise ConnectError(why) from error
    problem: OSError | None = None
    for family, address in found:
        try:
            return _connected(family, address)
        except OSError as error:
            problem = error
    why = zone_advice(host) or _reason(problem)
    raise ConnectError(f"no connection to {host} port {port}: {why}") from problem


def _connected(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(CONNECT_TIMEOUT_S)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: OSError | None) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (is the server running?)"
    if isinstance(error, TimeoutError):
        return "no answer (check the address, and the server's firewall)"
    return error.strerror or str(error) if error is not None else "the name has no address"


class TcpLink:
    """One connected TCP socket and a way to be woken while waiting on it."""

    def __init__(self, sock: socket.socket, waker: Waker) -> None:
        self._sock = sock
        self._waker = waker
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(waker.reader, selectors.EVENT_READ)
        self._unsent = bytearray()

    @property
    def unsent_bytes(self) -> int:
        """What the kernel has not taken yet."""
        return len(self._unsent)

    def wait(self, until_ns: int, read_bytes: int) -> bytes | None:
        """Sleeps until bytes come, `until_ns`, or the waker. Returns what came:
        None for nothing, b"" when the connection is over."""
        patience_ns = until_ns - time.monotonic_ns()
        came: bytes | None = None
        for key, mask in self._selector.select(max(0, patience_ns) / NS_PER_S):
            if key.fileobj is self._waker.reader:
                self._waker.drain()
                continue
            if mask & selectors.EVENT_WRITE:
                self.send(b"")
            if mask & selectors.EVENT_READ:
                came = self._receive(read_bytes)
        return came

    def _receive(self, read_bytes: int) -> bytes | None:
        try:
            return self._sock.recv(read_bytes)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Sends what the kernel takes and keeps the rest. A failure shows as b"" in `wait`."""
        if not data and not self._unsent:
            return
        self._unsent += data
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._unsent.clear()
        if len(self._unsent) > MAX_UNSENT_BYTES:
            # A server that does not read is as good as gone.
            self._unsent.clear()
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._sock, wanted)

    def open_udp(self) -> socket.socket:
        """A UDP socket from this connection's local address to its remote one."""
        local, remote = self._sock.getsockname(), self._sock.getpeername()
        udp = socket.socket(self._sock.family, socket.SOCK_DGRAM)
        try:
            grow_buffers(udp)
            udp.bind((local[0], 0, *local[2:]))
            udp.connect(remote)
            udp.settimeout(UDP_TIMEOUT_S)
        except OSError:
            udp.close()
            raise
        return udp

    def close(self) -> None:
        """Closes the connection; what was sent still goes out."""
        self._selector.close()
        self._sock.close()


def receive_datagram(udp: socket.socket, read_bytes: int) -> bytes | None:
    """The next datagram, or None after a quarter of a second without one.

    What the network says of a send of ours surfaces here (unreachable, prohibited,
    network down) and is ignored: packets may get lost. Raises OSError when the
    socket has been closed.
    """
    try:
        return udp.recv(read_bytes)
    except TimeoutError:
        return None
    except OSError:
        if udp.fileno() < 0:
            raise
        time.sleep(ERROR_PAUSE_S)
        return None


def send_datagram(udp: socket.socket, datagram: bytes) -> bool:
    """Whether the kernel took it. A lost network is no error: datagrams may get lost."""
    try:
        udp.send(datagram)
    except OSError:
        return False
    return True
