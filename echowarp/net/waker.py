"""Wakes a thread that waits in a selector."""

from __future__ import annotations

import socket


class Waker:
    """A pair of connected sockets: any thread may `wake`, the owner registers `reader`."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def wake(self) -> None:
        """Makes the reader readable. Safe from any thread, also after `close`."""
        try:
            self._writer.send(b"\0")
        except OSError:
            # Full means that a wake-up is pending already; closed, that nobody sleeps.
            return

    def drain(self) -> None:
        """Takes the pending wake-ups."""
        try:
            while len(self.reader.recv(256)) == 256:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Closes both ends."""
        self.reader.close()
        self._writer.close()
