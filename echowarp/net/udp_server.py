"""The server's UDP side: receives, and sends back from the address that was asked."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from echowarp.net.sockets import HAS_PACKET_INFO, IP_PKTINFO
from echowarp.net.waker import Waker

NS_PER_S = 1_000_000_000
MAX_READS = 64
"""Datagrams read from a socket in one turn: a flood overflows the kernel's buffer instead
of starving the audio."""
ANCILLARY_BYTES = 128
TICK_S = 1.0

_PKTINFO_V4 = struct.Struct("=I4s4s")
_PKTINFO_V6 = struct.Struct("=16sI")


class Way(NamedTuple):
    """How to reach a peer: our socket, its address, and the address we answer from."""

    socket_index: int
    address: tuple[str | int, ...]
    local: tuple[int, int, bytes] | None

    @property
    def port(self) -> int:
        """The peer's UDP port."""
        return int(self.address[1])


class UdpSender:
    """Sends from the server's sockets. One thread owns it; others, and other processes,
    may have one of their own for the same sockets."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self.sent_bytes = 0
        """UDP payload that the kernel took."""
        self.unsent = 0
        """Datagrams that the kernel did not take: full buffers, no route."""

    def send(self, datagram: bytes, way: Way) -> None:
        """Sends or, when the kernel will not take it, counts it in `unsent`."""
        index, address, local = way
        try:
            if local is None:
                self._sockets[index].sendto(datagram, address)
            else:
                self._sockets[index].sendmsg((datagram,), (local,), 0, address)
        except OSError:
            self.unsent += 1
        else:
            self.sent_bytes += len(datagram)


class UdpServer:
    """Receives on the thread that calls `run`.

    deliver(datagram, host, way, now_ns) is called for each datagram; turned() after
    those that were there at once, when woken, and at the latest when timeout_ns() says,
    None for never; tick(now_ns) about once a second.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        read_bytes: int,
        deliver: Callable[[bytes, str, Way, int], None],
        turned: Callable[[], None],
        timeout_ns: Callable[[], int | None],
        tick: Callable[[int], None],
    ) -> None:
        self._sockets = sockets
        self._asks_local = [HAS_PACKET_INFO and _is_wildcard(each) for each in sockets]
        self._read_bytes = read_bytes
        self._deliver = deliver
        self._turned = turned
        self._timeout_ns = timeout_ns
        self._tick = tick
        self._waker = Waker()
        self._running = True

    def stop(self) -> None:
        """Ends `run`. From any thread."""
        self._running = False
        self._waker.wake()

    def wake(self) -> None:
        """Has `turned` called soon. From any thread."""
        self._waker.wake()

    def run(self) -> None:
        """Receives until `stop`."""
        next_tick_ns = time.monotonic_ns()
        with selectors.DefaultSelector() as selector:
            selector.register(self._waker.reader, selectors.EVENT_READ, -1)
            for index, sock in enumerate(self._sockets):
                selector.register(sock, selectors.EVENT_READ, index)
            while self._running:
                self._turn(selector)
                self._turned()
                now_ns = time.monotonic_ns()
                if now_ns >= next_tick_ns:
                    next_tick_ns = now_ns + round(TICK_S * NS_PER_S)
                    self._tick(now_ns)
        self._waker.close()

    def _turn(self, selector: selectors.BaseSelector) -> None:
        """Waits, and takes what is there."""
        for key, _ in selector.select(self._patience_s()):
            if key.data < 0:
                self._waker.drain()
            else:
                self._receive(key.data)

    def _patience_s(self) -> float:
        due_ns = self._timeout_ns()
        if due_ns is None:
            return TICK_S
        return min(TICK_S, max(0, due_ns - time.monotonic_ns()) / NS_PER_S)

    def _receive(self, index: int) -> None:
        """Takes the datagrams that are there, in one go: what came together is dealt with
        together."""
        sock, asks_local, local = self._sockets[index], self._asks_local[index], None
        for _ in range(MAX_READS):
            try:
                if asks_local:
                    data, ancillary, _, address = sock.recvmsg(self._read_bytes, ANCILLARY_BYTES)
                    local = _answer_from(ancillary)
                else:
                    data, address = sock.recvfrom(self._read_bytes)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error of an earlier send surfaces here; it says nothing of now.
                continue
            # As a named tuple makes itself, without a call in Python.
            way = tuple.__new__(Way, (index, address, local))
            self._deliver(data, address[0], way, time.monotonic_ns())


def _is_wildcard(sock: socket.socket) -> bool:
    """Whether a socket hears on several addresses. One that has a single address answers
    from it anyway, and to send is cheaper when that need not be said."""
    return sock.getsockname()[0] in ("0.0.0.0", "::")


def _answer_from(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int, bytes] | None:
    """The control message that sends from the address that a datagram came to."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            _, local, _ = _PKTINFO_V4.unpack_from(data)
            # The route chooses the interface; only the address is ours to say.
            return level, kind, _PKTINFO_V4.pack(0, local, bytes(4))
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            local, interface = _PKTINFO_V6.unpack_from(data)
            link_local = local[0] == 0xFE and local[1] & 0xC0 == 0x80
            return level, kind, _PKTINFO_V6.pack(local, interface if link_local else 0)
    return None
