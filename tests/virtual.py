"""Virtual time and an in-memory TCP: a server and its clients in one place, no waiting.

Time is `World.now_ns` and moves only by `World.advance`; bytes move only by the
`deliver` methods, or all at once by `pump`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import Suite
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.client_session import ClientEvent, ClientSession
from echowarp.session.server import Server
from echowarp.session.server_events import ServerEvent
from echowarp.wire.records import Stream

MS = 1_000_000
S = 1_000 * MS
START_NS = 1_000 * S
PASSWORD = "correct horse"


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """A random source that gives the same bytes in every run."""
    return random.Random(seed).randbytes


def scripted_bytes(*parts: bytes) -> Callable[[int], bytes]:
    """A random source that gives exactly these parts, in this order and no others."""
    waiting = list(parts)

    def random_bytes(count: int) -> bytes:
        part = waiting.pop(0)
        assert len(part) == count, f"{count} random bytes asked for, {len(part)} scripted"
        return part

    return random_bytes


def handshake_script(nonce: bytes, scalar: bytes) -> Callable[[int], bytes]:
    """What one end draws for one handshake; the blinding between must not matter."""
    return scripted_bytes(nonce, b"\x21" * 32, b"\x01", b"\x43" * 32, scalar)


class World:
    """A server, clients and the connections between them."""

    def __init__(
        self,
        *,
        password: str | None = PASSWORD,
        limit: int | None = 5,
        max_clients: int = 64,
        suite: Suite = Suite.ENCRYPTED,
        streams: Sequence[Stream] = (),
        bans: BanList | None = None,
        seed: int = 1,
    ) -> None:
        self.now_ns = START_NS
        self.random_bytes = seeded_bytes(seed)
        self.admission = Admission(limit=limit, bans=BanList() if bans is None else bans)
        self.server = Server(
            prs=encode_password(password),
            suite=suite,
            max_clients=max_clients,
            admission=self.admission,
            random_bytes=self.random_bytes,
            streams=lambda: streams,
        )
        self.clients: dict[int, ClientSession] = {}
        self.server_events: list[ServerEvent] = []
        self.client_events: dict[int, list[ClientEvent]] = {}
        self.heard: dict[int, bytearray] = {}
        """All that the server ever sent on each connection."""
        self.closed: set[int] = set()
        """Connections that the server has closed."""
        self._down: dict[int, bytearray] = {}
        self._last = 0

    def connect_raw(self, host: str = "192.0.2.1") -> int:
        """A TCP connection with nobody behind it; the test speaks for the client."""
        self._last += 1
        connection = self._last
        self.heard[connection] = bytearray()
        self._down[connection] = bytearray()
        self.server.connected(connection, host, self.now_ns)
        self._collect()
        return connection

    def connect(self, host: str = "192.0.2.1", password: str | None = PASSWORD) -> int:
        """A client at `host`. Nothing has been delivered yet."""
        connection = self.connect_raw(host)
        self.client_events[connection] = []
        self.clients[connection] = ClientSession(
            prs=encode_password(password), random_bytes=self.random_bytes, now_ns=self.now_ns
        )
        return connection

    def join(self, host: str = "192.0.2.1", password: str | None = PASSWORD) -> int:
        """A client that has gone through the handshake."""
        connection = self.connect(host, password)
        self.pump()
        return connection

    def send(self, connection: int, data: bytes) -> None:
        """Bytes from the client's end of a connection."""
        self.server.received(connection, data, self.now_ns)
        self._collect()

    def leave(self, connection: int) -> None:
        """The client's end of the connection is closed."""
        self.clients.pop(connection, None)
        self.server.disconnected(connection, self.now_ns)
        self._collect()

    def deliver_down(self, connection: int) -> bool:
        """Hands the client what the server sent; whether there was anything."""
        client, data = self.clients.get(connection), bytes(self._down[connection])
        self._down[connection].clear()
        if client is None or not data:
            return False
        client.receive(data, self.now_ns)
        self.client_events[connection] += client.events()
        return True

    def deliver_up(self, connection: int) -> bool:
        """Hands the server what the client sends; whether there was anything."""
        client = self.clients.get(connection)
        data = b"" if client is None else client.to_send()
        if data:
            self.send(connection, data)
        return bool(data)

    def pump(self) -> None:
        """Delivers all that is under way, and the closing of connections after it."""
        moving = True
        while moving:
            moving = False
            for connection in tuple(self.clients):
                moving |= self.deliver_down(connection)
                moving |= self.deliver_up(connection)
        for connection in self.closed & self.clients.keys():
            self.clients[connection].receive_eof(self.now_ns)
            self.client_events[connection] += self.clients[connection].events()

    def advance(self, duration_ns: int, *, pump: bool = True) -> None:
        """Moves time on, stopping at every timeout on the way."""
        end_ns = self.now_ns + duration_ns
        while True:
            due_ns = self._next_due_ns()
            if due_ns is None or due_ns > end_ns:
                break
            self.now_ns = max(self.now_ns, due_ns)
            self.server.handle_timeout(self.now_ns)
            for connection, client in self.clients.items():
                client.handle_timeout(self.now_ns)
                self.client_events[connection] += client.events()
            self._collect()
            if pump:
                self.pump()
        self.now_ns = end_ns

    def events_of(self, kind: type[ServerEvent]) -> list[ServerEvent]:
        """All of the server's events of one kind so far."""
        return [event for event in self.server_events if isinstance(event, kind)]

    def _next_due_ns(self) -> int | None:
        due = [self.server.timeout_ns(), *(c.timeout_ns() for c in self.clients.values())]
        return min((d for d in due if d is not None), default=None)

    def _collect(self) -> None:
        for connection, data, close in self.server.to_send():
            assert connection not in self.closed, "nothing follows the closing"
            self.heard[connection] += data
            self._down[connection] += data
            if close:
                self.closed.add(connection)
        self.server_events += self.server.events()


def chunks(data: bytes, sizes: Iterable[int]) -> Iterable[bytes]:
    """Cuts `data` into pieces of these sizes; what is left is the last piece."""
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]
