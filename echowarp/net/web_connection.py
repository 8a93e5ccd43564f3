"""One connection of the web door: plain or TLS, whichever its first byte says."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections import deque
from enum import Enum, auto
from typing import Any, TypeAlias

BytesLike: TypeAlias = bytes | bytearray | memoryview

READ_BYTES = 1 << 16
"""More than a TLS record holds: what one read leaves is in the kernel, where the selector
sees it."""
TLS_HANDSHAKE = 0x16
"""The first byte of TLS, and of no HTTP request."""


class Phase(Enum):
    """How far a connection is."""

    NEW = auto()
    """Nothing has come."""
    HANDSHAKE = auto()
    OPEN = auto()
    LENT = auto()
    """It is another thread's until that gives it back."""
    ENDING = auto()
    """All is out, and what still comes is thrown away."""
    CLOSED = auto()


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset({Phase.HANDSHAKE, Phase.OPEN, Phase.CLOSED}),
    Phase.HANDSHAKE: frozenset({Phase.OPEN, Phase.CLOSED}),
    Phase.OPEN: frozenset({Phase.LENT, Phase.ENDING, Phase.CLOSED}),
    Phase.LENT: frozenset({Phase.CLOSED}),
    Phase.ENDING: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}


class WebConnection:
    """A socket with what waits to be sent. The server's thread owns it.

    sock: non-blocking; host: the peer's numeric address.
    """

    def __init__(self, sock: socket.socket, host: str, now_ns: int) -> None:
        self.sock = sock
        self.host = host
        self.phase = Phase.NEW
        self.begun_ns = now_ns
        self.deadline_ns: int | None = None
        """When it is dropped unless somebody moves that."""
        self.is_idle = True
        """Whether nobody is being served by it: such a one makes room for others."""
        self.is_read = True
        """Whether what comes is read; not while an answer waits to be sent or known."""
        self.has_ended = False
        """Whether the peer has no more to say."""
        self.handler: Any = None
        """Whose it is, for the one who uses the server."""
        self.moved_ns = now_ns
        """When the peer last took something."""
        self._out: deque[BytesLike] = deque()
        self._unsent_bytes = 0
        self._closes = False
        self._wants_write = False

    @property
    def is_secure(self) -> bool:
        """Whether it is TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    @property
    def is_closing(self) -> bool:
        """Whether it is closed or is about to be."""
        return self._closes or self.phase in (Phase.ENDING, Phase.CLOSED)

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the peer, or for the kernel."""
        return self._unsent_bytes

    @property
    def wanted(self) -> int:
        """The selector's events that it waits for; 0 for none."""
        if self.phase in (Phase.LENT, Phase.CLOSED):
            return 0
        if self.phase is Phase.HANDSHAKE:
            return selectors.EVENT_WRITE if self._wants_write else selectors.EVENT_READ
        reads = not self.has_ended if self.is_closing else self.is_read
        read = selectors.EVENT_READ if reads else 0
        return read | (selectors.EVENT_WRITE if self._out else 0)

    def to(self, phase: Phase) -> None:
        """Changes the phase."""
        assert phase in TRANSITIONS[self.phase], (self.phase, phase)
        self.phase = phase

    def send(self, *pieces: BytesLike) -> None:
        """Has them sent after all that waits."""
        if not self.is_closing:
            if not self._out:
                self.moved_ns = time.monotonic_ns()
            for piece in pieces:
                if len(piece):
                    self._out.append(piece)
                    self._unsent_bytes += len(piece)

    def close_when_sent(self) -> None:
        """Has it closed once all is out."""
        self._closes = True

    def shake_hands(self, context: ssl.SSLContext | None) -> None:
        """Goes on towards OPEN. Raises OSError when that fails (SSLError is one)."""
        if self.phase is Phase.NEW:
            first = self.sock.recv(1, socket.MSG_PEEK)
            if not first:
                raise ConnectionResetError
            if first[0] != TLS_HANDSHAKE or context is None:
                self.to(Phase.OPEN)
                return
            self.sock = context.wrap_socket(
                self.sock, server_side=True, do_handshake_on_connect=False
            )
            self.to(Phase.HANDSHAKE)
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._wants_write = False
        except ssl.SSLWantWriteError:
            self._wants_write = True
        else:
            self.to(Phase.OPEN)

    def read(self) -> bytes | None:
        """What has come; b"" at the end, None when there is nothing now. Raises OSError."""
        try:
            data = self.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            data = b""
        self.has_ended = not data
        return data

    def write(self) -> bool:
        """Sends what the kernel takes; whether all is out. Raises OSError."""
        while self._out:
            piece = self._out[0]
            try:
                sent = self.sock.send(piece)
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            self.moved_ns = time.monotonic_ns()
            self._unsent_bytes -= sent
            if sent < len(piece):
                self._out[0] = memoryview(piece)[sent:]
            else:
                self._out.popleft()
        return True

    def last_words(self) -> None:
        """Says that nothing follows, once all is out. Raises OSError."""
        self.to(Phase.ENDING)
        if isinstance(self.sock, ssl.SSLSocket):
            # Its goodbye goes out; the peer's is not waited for here.
            try:
                self.sock.unwrap()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except ValueError:
                return
        self.sock.shutdown(socket.SHUT_WR)

    def take_unsent(self) -> list[BytesLike]:
        """Takes what waits away from here."""
        unsent = list(self._out)
        self._out.clear()
        self._unsent_bytes = 0
        return unsent
