"""The server's TCP side: accepts, pumps bytes, re-arms timers. Decides nothing."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Protocol

from echowarp.net.sockets import ready_accepted
from echowarp.net.waker import Waker

NS_PER_S = 1_000_000_000
MAX_UNSENT_BYTES = 65536
"""A peer that does not read is closed when so much waits for it."""
LINGER_NS = NS_PER_S
"""How long a closed connection is still read: closing with unread data would
reset it, and the peer would never see our last words."""
MAX_LINGERING = 64
STOP_GRACE_NS = NS_PER_S // 2
"""How long goodbyes may take to be read when the server stops."""
ACCEPT_PAUSE_NS = NS_PER_S // 5
"""After an accept that failed for want of file descriptors."""


class ControlHandler(Protocol):
    """The state machine behind the sockets."""

    def connected(self, connection: int, host: str, now_ns: int) -> None:
        """A connection was accepted."""

    def received(self, connection: int, data: bytes, now_ns: int) -> None:
        """Bytes came."""

    def disconnected(self, connection: int, now_ns: int) -> None:
        """The connection is gone."""

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called."""

    def handle_timeout(self, now_ns: int) -> None:
        """Time has passed."""

    def to_send(self) -> list[tuple[int, bytes, bool]]:
        """Drains (connection, bytes, whether to close after them)."""


class _Peer:
    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.unsent = bytearray()
        self.close_at_ns: int | None = None


class TcpServer:
    """Pumps between sockets and a `ControlHandler`, all on the thread that calls `run`.

    read_bytes: the most that is read at once; on_progress: called after each
    turn, to drain the handler's events.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        handler: ControlHandler,
        *,
        read_bytes: int,
        on_progress: Callable[[int], None],
    ) -> None:
        self._listening = sockets
        self._handler = handler
        self._read_bytes = read_bytes
        self._on_progress = on_progress
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._posted: SimpleQueue[Callable[[int], None]] = SimpleQueue()
        self._peers: dict[int, _Peer] = {}
        self._lingering: list[_Peer] = []
        self._last_number = 0
        self._accept_at_ns: int | None = None
        self._stop_at_ns: int | None = None

    def post(self, action: Callable[[int], None]) -> None:
        """Has `action(now_ns)` called on this server's thread. From any thread."""
        self._posted.put(action)
        self._waker.wake()

    def stop(self) -> None:
        """Ends `run` when all that is closing has closed, at the latest after the
        grace. From any thread."""

        def leave(now_ns: int) -> None:
            self._stop_at_ns = now_ns + STOP_GRACE_NS

        self.post(leave)

    def run(self) -> None:
        """Pumps until `stop`."""
        self._selector.register(self._waker.reader, selectors.EVENT_READ, None)
        self._listen(True)
        try:
            while not self._stopped():
                self._turn()
        finally:
            for peer in (*self._peers.values(), *self._lingering):
                peer.sock.close()
            self._selector.close()
            self._waker.close()

    def _stopped(self) -> bool:
        if self._stop_at_ns is None:
            return False
        return not self._lingering or time.monotonic_ns() >= self._stop_at_ns

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._patience_s()):
            self._ready(key.fileobj, key.data, mask)
        now_ns = time.monotonic_ns()
        while not self._posted.empty():
            self._posted.get()(now_ns)
        due_ns = self._handler.timeout_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._handler.handle_timeout(now_ns)
        self._on_progress(now_ns)
        # Sending may find peers gone, which is progress again.
        while self._flush(now_ns):
            self._on_progress(now_ns)
        self._reap(now_ns)
        if self._accept_at_ns is not None and now_ns >= self._accept_at_ns:
            self._accept_at_ns = None
            self._listen(True)

    def _patience_s(self) -> float | None:
        due = [self._handler.timeout_ns(), self._accept_at_ns, self._stop_at_ns]
        due += [peer.close_at_ns for peer in self._lingering]
        earliest = min((d for d in due if d is not None), default=None)
        return None if earliest is None else max(0, earliest - time.monotonic_ns()) / NS_PER_S

    def _ready(self, ready: object, peer: _Peer | None, mask: int) -> None:
        if ready is self._waker.reader:
            self._waker.drain()
        elif peer is None:
            assert isinstance(ready, socket.socket)
            self._accept(ready)
        else:
            if mask & selectors.EVENT_READ:
                self._read(peer)
            if mask & selectors.EVENT_WRITE and peer.sock.fileno() >= 0:
                self._write(peer, time.monotonic_ns())

    def _listen(self, wanted: bool) -> None:
        for listening in self._listening:
            if wanted:
                self._selector.register(listening, selectors.EVENT_READ, None)
            else:
                self._selector.unregister(listening)

    def _accept(self, listening: socket.socket) -> None:
        if self._accept_at_ns is not None:
            return
        try:
            sock, address = listening.accept()
        except (BlockingIOError, ConnectionError, InterruptedError):
            return
        except OSError:
            # No descriptors are left. The peer waits in the backlog meanwhile.
            self._listen(False)
            self._accept_at_ns = time.monotonic_ns() + ACCEPT_PAUSE_NS
            return
        host = ready_accepted(sock, address)
        if host is None:
            return
        self._last_number += 1
        peer = _Peer(sock, self._last_number)
        self._peers[peer.number] = peer
        self._selector.register(sock, selectors.EVENT_READ, peer)
        self._handler.connected(peer.number, host, time.monotonic_ns())

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.sock.recv(self._read_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if peer.close_at_ns is not None:
            if not data:
                self._drop(peer)
        elif data:
            self._handler.received(peer.number, data, time.monotonic_ns())
        else:
            self._drop(peer)
            self._handler.disconnected(peer.number, time.monotonic_ns())

    def _flush(self, now_ns: int) -> bool:
        """Sends what is to be sent; whether there was anything."""
        sending = self._handler.to_send()
        for number, data, close in sending:
            peer = self._peers.get(number)
            if peer is None:
                continue
            peer.unsent += data
            if close:
                self._linger(peer, now_ns)
            self._write(peer, now_ns)
        return bool(sending)

    def _write(self, peer: _Peer, now_ns: int) -> None:
        try:
            while peer.unsent:
                del peer.unsent[: peer.sock.send(peer.unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(peer)
            self._handler.disconnected(peer.number, now_ns)
            return
        if len(peer.unsent) > MAX_UNSENT_BYTES:
            self._drop(peer)
            self._handler.disconnected(peer.number, now_ns)
        elif peer.close_at_ns is not None and not peer.unsent:
            self._last_words(peer)
        else:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0)
            self._selector.modify(peer.sock, wanted, peer)

    def _linger(self, peer: _Peer, now_ns: int) -> None:
        """No longer a peer: what is unsent may still go out, and what comes is thrown
        away, both until the deadline."""
        self._peers.pop(peer.number, None)
        if len(self._lingering) >= MAX_LINGERING:
            self._drop(self._lingering[0])
        peer.close_at_ns = now_ns + LINGER_NS
        self._lingering.append(peer)

    def _last_words(self, peer: _Peer) -> None:
        """Everything has gone out."""
        try:
            peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(peer)
            return
        self._selector.modify(peer.sock, selectors.EVENT_READ, peer)

    def _reap(self, now_ns: int) -> None:
        for peer in tuple(self._lingering):
            if peer.close_at_ns is not None and now_ns >= peer.close_at_ns:
                self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        self._peers.pop(peer.number, None)
        if peer in self._lingering:
            self._lingering.remove(peer)
        if peer.sock.fileno() >= 0:
            self._selector.unregister(peer.sock)
            peer.sock.close()
