"""The web door's sockets: accepts, shakes hands, pumps bytes, cuts off. Decides nothing.

One thread does it all and must not stand still: what waits for disks takes its connection
away (`lend`) and serves it on a thread of its own.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from queue import SimpleQueue

from echowarp.net.waker import Waker
from echowarp.net.web_connection import Phase, WebConnection
from echowarp.net.web_intake import Intake
from echowarp.net.web_seams import WebHandler, WebLimits

NS_PER_S = 1_000_000_000
LOOK_EVERY_NS = NS_PER_S // 5
"""How often connections are looked at that may have run out of time."""
BESIDE_EVERY_NS = 3 * NS_PER_S // 1000
"""Sound is passed on so often, whatever else there is to do."""
LINGER_NS = NS_PER_S
"""How long a closed connection is still read, so that its peer sees our last words."""
STOP_GRACE_NS = NS_PER_S // 2


class WebServer:
    """Pumps between sockets and a `WebHandler`, all on the thread that calls `run`.

    context: of TLS, for those who begin it; group: what counts as one address; on_look:
    called some times a second.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        handler: WebHandler,
        *,
        context: ssl.SSLContext,
        group: Callable[[str], Hashable],
        limits: WebLimits,
        on_look: Callable[[int], None],
    ) -> None:
        self._on_look = on_look
        self._handler = handler
        self.context = context
        """Of those who come from now on."""
        self._group = group
        self._limits = limits
        self._selector = selectors.DefaultSelector()
        self._intake = Intake(sockets, self._selector)
        self._waker = Waker()
        self._posted: SimpleQueue[Callable[[int], None]] = SimpleQueue()
        self._connections: dict[WebConnection, None] = {}
        self._touched: set[WebConnection] = set()
        self._beside: list[tuple[socket.socket, Callable[[], None]]] = []
        self._by_group: Counter[Hashable] = Counter()
        self._look_at_ns = self._beside_at_ns = 0
        self._stop_at_ns: int | None = None

    def post(self, action: Callable[[int], None]) -> None:
        """Has `action(now_ns)` called on this server's thread. From any thread."""
        self._posted.put(action)
        self._waker.wake()

    def attend(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Has `ready` called when that socket can be read, and otherwise often: it finds
        out by itself whether there is anything. Before `run`, or by it."""
        self._beside.append((sock, ready))
        self._selector.register(sock, selectors.EVENT_READ, ready)

    def forsake(self, sock: socket.socket) -> None:
        """Looks after that socket no longer."""
        self._beside = [each for each in self._beside if each[0] is not sock]
        self._selector.unregister(sock)

    def touch(self, connection: WebConnection) -> None:
        """Something is to be sent there, or it is to be read again."""
        self._touched.add(connection)

    def lend(self, connection: WebConnection) -> socket.socket:
        """Gives its socket to another thread, blocking. It still counts as a connection,
        until `give_back`."""
        connection.to(Phase.LENT)
        self._watch(connection)
        connection.sock.setblocking(True)
        return connection.sock

    def give_back(self, connection: WebConnection) -> None:
        """The other thread is done with it, and has closed the socket."""
        if connection in self._connections:
            self._forget(connection)

    def stop(self) -> None:
        """Ends `run` when what is closing has closed, at the latest after the grace. From
        any thread."""

        def leave(now_ns: int) -> None:
            self._stop_at_ns = now_ns + STOP_GRACE_NS
            for connection in tuple(self._connections):
                if connection.phase is Phase.OPEN and connection.unsent_bytes:
                    connection.close_when_sent()
                elif connection.phase is not Phase.LENT:
                    self.drop(connection)

        self.post(leave)

    def run(self) -> None:
        """Pumps until `stop`."""
        self._selector.register(self._waker.reader, selectors.EVENT_READ, None)
        self._intake.begin()
        try:
            while not self._stopped():
                self._turn()
        finally:
            for connection in self._connections:
                # Those who were lent it see an error, and end.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
                if connection.phase is not Phase.LENT:
                    connection.sock.close()
            self._selector.close()
            self._waker.close()

    def _stopped(self) -> bool:
        if self._stop_at_ns is None:
            return False
        waiting = any(each.phase is not Phase.LENT for each in self._connections)
        return not waiting or time.monotonic_ns() >= self._stop_at_ns

    def _turn(self) -> None:
        patience_s = LOOK_EVERY_NS / NS_PER_S
        for key, mask in self._selector.select(0 if self._touched else patience_s):
            self._serve_beside()
            if callable(key.data):
                key.data()
            elif key.fileobj is self._waker.reader:
                self._waker.drain()
            elif isinstance(key.data, WebConnection):
                self._ready(key.data, mask)
            else:
                assert isinstance(key.fileobj, socket.socket)
                for sock, host in self._intake.accept(key.fileobj):
                    self._take(sock, host)
        now_ns = time.monotonic_ns()
        while not self._posted.empty():
            self._posted.get()(now_ns)
        self._settle()
        if now_ns >= self._look_at_ns:
            self._look_at_ns = now_ns + LOOK_EVERY_NS
            self._look(now_ns)

    def _serve_beside(self) -> None:
        """Between two connections, each of which may take a while, such as a handshake."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._beside_at_ns:
            self._beside_at_ns = now_ns + BESIDE_EVERY_NS
            for _, ready in tuple(self._beside):
                ready()
            self._settle()

    def _look(self, now_ns: int) -> None:
        self._on_look(now_ns)
        self._handler.tick(now_ns)
        for connection in tuple(self._connections):
            if connection.phase is Phase.LENT:
                continue
            late = connection.deadline_ns is not None and now_ns >= connection.deadline_ns
            stalls = now_ns - connection.moved_ns > self._limits.stall_ns
            if late or (connection.unsent_bytes and stalls):
                self.drop(connection)
        self._settle()
        self._intake.go_on(now_ns)

    def _take(self, sock: socket.socket, host: str) -> None:
        now_ns = time.monotonic_ns()
        if self._stop_at_ns is not None or not self._make_room(host):
            sock.close()
            return
        connection = WebConnection(sock, host, now_ns)
        connection.deadline_ns = now_ns + self._limits.first_request_ns
        self._connections[connection] = None
        self._by_group[self._group(host)] += 1
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _make_room(self, host: str) -> bool:
        """Drops the oldest idle connection where there are too many; whether it could."""
        own = self._group(host)
        if self._by_group[own] >= self._limits.per_address:
            crowded = own
        elif len(self._connections) >= self._limits.connections:
            crowded = self._by_group.most_common(1)[0][0]
        else:
            return True
        for connection in self._connections:
            if connection.is_idle and self._group(connection.host) == crowded:
                self.drop(connection)
                return True
        return False

    def _ready(self, connection: WebConnection, mask: int) -> None:
        try:
            if connection.phase in (Phase.NEW, Phase.HANDSHAKE):
                self._shake_hands(connection)
            else:
                if mask & selectors.EVENT_READ:
                    self._read(connection)
                if mask & selectors.EVENT_WRITE:
                    self._touched.add(connection)
        except OSError:
            self.drop(connection)

    def _shake_hands(self, connection: WebConnection) -> None:
        before = connection.sock
        self._selector.unregister(before)
        with contextlib.suppress(BlockingIOError, InterruptedError):
            connection.shake_hands(self.context)
        # Not after a failure: a socket that TLS was not made for may be closed.
        self._selector.register(connection.sock, selectors.EVENT_READ, connection)
        self._watch(connection)
        if connection.phase is Phase.OPEN:
            self._handler.opened(connection, time.monotonic_ns())
            if connection.is_secure:
                # The request may have come with the end of the handshake.
                self._read(connection)

    def _read(self, connection: WebConnection) -> None:
        data = connection.read()
        if data is None:
            return
        if not data and connection.phase is Phase.ENDING:
            self.drop(connection)
        if connection.is_closing:
            return
        self._handler.received(connection, data, time.monotonic_ns())
        self._touched.add(connection)

    def _settle(self) -> None:
        """Sends what is to be sent."""
        while self._touched:
            connection = self._touched.pop()
            if connection.phase is not Phase.OPEN:
                continue
            try:
                waited = connection.unsent_bytes > 0
                if connection.write() and waited:
                    self._handler.drained(connection, time.monotonic_ns())
                if connection.is_closing and not connection.unsent_bytes:
                    connection.deadline_ns = time.monotonic_ns() + LINGER_NS
                    connection.last_words()
                self._watch(connection)
            except OSError:
                self.drop(connection)

    def _watch(self, connection: WebConnection) -> None:
        wanted = connection.wanted
        registered = self._is_registered(connection)
        if wanted and registered:
            self._selector.modify(connection.sock, wanted, connection)
        elif wanted:
            self._selector.register(connection.sock, wanted, connection)
        elif registered:
            self._selector.unregister(connection.sock)

    def _is_registered(self, connection: WebConnection) -> bool:
        number = connection.sock.fileno()
        return number >= 0 and number in self._selector.get_map()

    def drop(self, connection: WebConnection) -> None:
        """Closes it at once."""
        if connection.phase in (Phase.CLOSED, Phase.LENT):
            return
        if self._is_registered(connection):
            self._selector.unregister(connection.sock)
        connection.sock.close()
        self._forget(connection)

    def _forget(self, connection: WebConnection) -> None:
        del self._connections[connection]
        self._touched.discard(connection)
        own = self._group(connection.host)
        self._by_group[own] -= 1
        if not self._by_group[own]:
            del self._by_group[own]
        connection.take_unsent()
        connection.to(Phase.CLOSED)
        self._handler.closed(connection, time.monotonic_ns())
