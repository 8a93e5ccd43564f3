"""Peers that mean ill, made of the program's own parsers.

Each has an address of loopback to itself, so that what it is banned for is its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from echowarp.crypto.password import encode_password
from echowarp.crypto.record import RecordSealer
from echowarp.crypto.suite import cipher_for_client
from echowarp.session.client_session import ClientSession, Ended, Started
from echowarp.session.datagrams import DatagramSender
from echowarp.session.endpoint import Received
from echowarp.wire import handshake as frames
from echowarp.wire.datagram import DatagramType
from echowarp.wire.handshake import FrameType
from echowarp.wire.records import Record, UdpOk
from tests.processes import LOOPBACK, PASSWORD, PATIENCE_S

BASE_POINT = b"\x09" + bytes(31)
"""A public key like any other."""
READ_BYTES = 65536
KNOCK_S = 0.15

Change = Callable[[bytes], bytes]
_numbers = itertools.count(2)


def new_host() -> str:
    """An address of loopback that nobody has used yet, from 127.0.0.2 on."""
    number = next(_numbers)
    return f"127.{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}"


def connected(port: int, host: str, *, receive_bytes: int | None = None) -> socket.socket:
    """A TCP connection from `host`. receive_bytes: of the kernel's buffer."""
    sock = socket.socket()
    try:
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE_S)
        sock.bind((host, 0))
        sock.connect((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock


def open_udp(port: int, host: str) -> socket.socket:
    """A UDP socket from `host` to the server."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(PATIENCE_S)
    udp.bind((host, 0))
    udp.connect((LOOPBACK, port))
    return udp


def came(sock: socket.socket) -> bool:
    """Whether something waits to be read: bytes, a datagram, or the end."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


def exactly(sock: socket.socket, count: int) -> bytes:
    """So many bytes; fewer where the server closed before."""
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


def greeting(sock: socket.socket) -> bytes:
    """What a server says first: GREETING, or the ERROR in its place."""
    head = exactly(sock, frames.LEN_BYTES)
    return head + exactly(sock, int.from_bytes(head, "big"))


def last_words(sock: socket.socket) -> bytes:
    """All that the server says until it closes; a reset is a close."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := sock.recv(READ_BYTES):
            data += more
    return data


def answer(port: int, host: str, *said: bytes) -> bytes:
    """What the server answers to those bytes, in as many segments, until it closes."""
    with connected(port, host) as sock:
        greeting(sock)
        with contextlib.suppress(ConnectionError):
            for data in said:
                sock.sendall(data)
        return last_words(sock)


def hello(public: bytes = BASE_POINT, *, version: int = frames.VERSION) -> bytes:
    """Message 2 with that share."""
    return frames.pack_hello(frames.Hello(version=version, nonce=os.urandom(16), public=public))


def reply_to(port: int, host: str, public: bytes = BASE_POINT) -> bytes:
    """Says HELLO and leaves after the answer, which it returns: REPLY or ERROR."""
    with connected(port, host) as sock:
        first = greeting(sock)
        if frames.frame_type(first) is FrameType.ERROR:
            return first
        sock.sendall(hello(public))
        return greeting(sock)


class Refused(Exception):
    """The server let nobody in. code: its reason, None where it just closed."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Guest:
    """A client by hand: whoever holds it sends and hears what it likes.

    down, up: change what passes from, to the server.
    """

    def __init__(
        self,
        port: int,
        host: str,
        *,
        password: str | None = PASSWORD,
        down: Change = bytes,
        up: Change = bytes,
        receive_bytes: int | None = None,
    ) -> None:
        self.host = host
        self.started: Started | None = None
        self.ended: Ended | None = None
        self.records: list[Record] = []
        self._port = port
        self._down, self._up = down, up
        self._sender: DatagramSender | None = None
        self.sock = connected(port, host, receive_bytes=receive_bytes)
        self.udp = open_udp(port, host)
        self.session = ClientSession(
            prs=encode_password(password), random_bytes=os.urandom, now_ns=time.monotonic_ns()
        )

    def pump(self) -> None:
        """Waits for bytes and answers them. Raises OSError when there are none for long."""
        now_ns = time.monotonic_ns()
        try:
            data = self.sock.recv(READ_BYTES)
        except ConnectionError:
            data = b""
        if data:
            self.session.receive(self._down(data), now_ns)
        else:
            self.session.receive_eof(now_ns)
        for event in self.session.events():
            if isinstance(event, Started):
                self.started = event
            elif isinstance(event, Received):
                self.records.append(event.record)
            else:
                self.ended = event
        said = self.session.to_send()
        if said:
            with contextlib.suppress(ConnectionError):
                self.sock.sendall(self._up(said))

    def until(self, happened: Callable[[], object]) -> None:
        """Pumps until that is true. Raises Refused when the connection ends before."""
        while not happened():
            if self.ended is not None:
                raise Refused(self.ended.code)
            self.pump()

    def join(self) -> Started:
        """Goes through the handshake. Raises Refused."""
        self.until(lambda: self.started is not None)
        assert self.started is not None
        return self.started

    def sealer(self) -> RecordSealer:
        """Seals this end's records anew, from the first on."""
        return RecordSealer(self.join().keys.control_client)

    def seal(self, kind: int, stream: int = 0, body: bytes = b"") -> bytes:
        """The next datagram to the server."""
        keys = self.join().keys
        if self._sender is None:
            self._sender = DatagramSender(cipher=cipher_for_client(keys), session=keys.session)
        return self._sender.seal(kind, stream, body)

    def knock(self) -> UdpOk:
        """Opens the stream, from the present UDP socket. Returns what the server says to it."""
        heard = len(self._heard())
        end_s = time.monotonic() + PATIENCE_S
        while len(self._heard()) == heard and time.monotonic() < end_s:
            # The server may not follow at once.
            self.udp.send(self.seal(DatagramType.PROBE))
            self.sock.settimeout(KNOCK_S)
            with contextlib.suppress(TimeoutError):
                self.until(lambda: len(self._heard()) > heard)
        self.sock.settimeout(PATIENCE_S)
        return self._heard()[heard]

    def _heard(self) -> list[UdpOk]:
        return [record for record in self.records if isinstance(record, UdpOk)]

    def move(self) -> None:
        """From now on another UDP port, as after a NAT's rebinding."""
        self.udp.close()
        self.udp = open_udp(self._port, self.host)

    def close(self) -> None:
        """Leaves without a word."""
        self.sock.close()
        self.udp.close()

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def guess(port: int, host: str, password: str | None = "wrong") -> int | None:
    """Tries a password. Returns the code that it was refused with; None for none.

    Raises AssertionError when it was right.
    """
    try:
        with Guest(port, host, password=password) as guest:
            guest.join()
    except Refused as refused:
        return refused.code
    except ConnectionError:
        return None
    raise AssertionError(f"{password!r} is right")


def gibberish(seed: int) -> Iterator[bytes]:
    """Datagrams without end, some of which have the shape of a PROBE or of a block."""
    chance = random.Random(seed)
    sizes = (0, 1, 17, 18, 33, 34, 34, 34, 300, 1_232, 1_233, 9_000)
    while True:
        kind = chance.choice((0x40, 0x40, 0x50, 0x51, 0x52, 0x01, 0x00, 0xFF))
        yield bytes((kind,)) + chance.randbytes(chance.choice(sizes))
