"""Pieces of memory that wait to be sent, as many at once as the system takes."""

from __future__ import annotations

import itertools
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

Piece: TypeAlias = bytes | bytearray | memoryview

MAX_PIECES = 512
"""In one system call; systems take 1024 and more."""
_HAS_SENDMSG = hasattr(socket.socket, "sendmsg")


class Unsent:
    """A queue of them, in order. They must stay as they are until they are sent."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, pieces: Iterable[Piece]) -> None:
        """Puts more at the end."""
        self._pieces.extend(piece for piece in pieces if len(piece))

    def clear(self) -> None:
        """Forgets all."""
        self._pieces.clear()

    def send(self, sock: socket.socket) -> None:
        """Sends what one call takes. Not for none. Raises OSError, after which what was
        refused is offered again as it was, which TLS wants."""
        pieces = self._pieces
        if isinstance(sock, ssl.SSLSocket) or not _HAS_SENDMSG:
            count = sock.send(pieces[0])
        else:
            count = sock.sendmsg(list(itertools.islice(pieces, MAX_PIECES)))
        while count and count >= len(pieces[0]):
            count -= len(pieces.popleft())
        if count:
            pieces[0] = memoryview(pieces[0])[count:]
