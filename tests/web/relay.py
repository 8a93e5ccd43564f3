"""A TCP port in front of another, whose cable can be pulled."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType

LOOPBACK = "127.0.0.1"


class Relay:
    """Passes on whatever comes to `port`, both ways, while the cable is in.

    bytes_a_s: how much of it at most, None for as much as comes.
    """

    def __init__(self, target_port: int, *, bytes_a_s: int | None = None) -> None:
        self._bytes_a_s = bytes_a_s
        self._target = (LOOPBACK, target_port)
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self._connected = threading.Event()
        self._connected.set()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()

    def pull(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        self._connected.clear()

    def plug_in(self) -> None:
        """What waited goes on."""
        self._connected.set()

    def close(self) -> None:
        """Ends the thread and all connections."""
        self._closing.set()
        self._connected.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._connected.wait()
            for key, _ in self._selector.select(0.05):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if not self._connected.is_set():
                    break
                if sock is self._listening:
                    self._join()
                elif sock in self._peers:
                    self._pass_on(sock)
        for sock in (*self._peers, self._listening):
            sock.close()
        self._selector.close()

    def _join(self) -> None:
        ours, _ = self._listening.accept()
        try:
            theirs = socket.create_connection(self._target)
        except OSError:
            ours.close()
            return
        for one, other in ((ours, theirs), (theirs, ours)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data = sock.recv(1 << 16)
            if data:
                self._peers[sock].sendall(data)
                if self._bytes_a_s is not None:
                    time.sleep(len(data) / self._bytes_a_s)
                return
        for each in (sock, self._peers[sock]):
            self._selector.unregister(each)
            del self._peers[each]
            each.close()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
