"""Takes those who come to the web door off its listening sockets."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Sequence

from echowarp.net.sockets import ready_accepted

NS_PER_S = 1_000_000_000
PAUSE_NS = NS_PER_S // 5
"""After an accept that failed for want of file descriptors."""
AT_ONCE = 16
"""Then the others have their turn."""


class Intake:
    """The listening sockets, which a selector watches but for pauses."""

    def __init__(self, sockets: Sequence[socket.socket], selector: selectors.BaseSelector) -> None:
        self._sockets = sockets
        self._selector = selector
        self._again_at_ns: int | None = None

    def begin(self) -> None:
        """Has the selector watch them."""
        for each in self._sockets:
            self._selector.register(each, selectors.EVENT_READ, None)

    def go_on(self, now_ns: int) -> None:
        """Ends a pause that was long enough."""
        if self._again_at_ns is not None and now_ns >= self._again_at_ns:
            self._again_at_ns = None
            self.begin()

    def accept(self, listening: socket.socket) -> Iterator[tuple[socket.socket, str]]:
        """Some of those who wait at one of the sockets: each, non-blocking, and the numeric
        address it comes from."""
        for _ in range(AT_ONCE):
            if self._again_at_ns is not None:
                return
            try:
                sock, address = listening.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                return
            except OSError:
                # No descriptors are left. The peer waits in the backlog meanwhile.
                self._pause()
                return
            host = ready_accepted(sock, address)
            if host is None:
                continue
            yield sock, host

    def _pause(self) -> None:
        for each in self._sockets:
            self._selector.unregister(each)
        self._again_at_ns = time.monotonic_ns() + PAUSE_NS
