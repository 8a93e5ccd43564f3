"""One client and one server connection, joined by hand: every byte passes the test."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.crypto.password import encode_password
from echowarp.crypto.schedule import SessionKeys
from echowarp.session import client_session, server_connection
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.client_session import ClientEvent, ClientSession
from echowarp.session.server_connection import Closed, ConnectionEvent, ServerConnection, State
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from tests.virtual import PASSWORD, START_NS, seeded_bytes

HOST = "192.0.2.1"


class Pair:
    """Both ends after TCP has connected, with GREETING waiting at the server."""

    def __init__(
        self,
        *,
        password: str | None = PASSWORD,
        client_password: str | None = PASSWORD,
        admission: Admission | None = None,
        server_random: Callable[[int], bytes] | None = None,
        client_random: Callable[[int], bytes] | None = None,
    ) -> None:
        self.now_ns = START_NS
        self.admission = admission or Admission(limit=5, bans=BanList())
        self.server = ServerConnection(
            host=HOST,
            prs=encode_password(password),
            admission=self.admission,
            random_bytes=server_random or seeded_bytes(11),
            now_ns=self.now_ns,
        )
        self.client = ClientSession(
            prs=encode_password(client_password),
            random_bytes=client_random or seeded_bytes(22),
            now_ns=self.now_ns,
        )
        self.server_events: list[ConnectionEvent] = []
        self.client_events: list[ClientEvent] = []

    def down(self, change: Callable[[bytes], bytes] = bytes) -> bytes:
        """Server to client: all that waits, as `change` makes it. Returns what was sent."""
        sent = self.server.to_send()
        self.client.receive(change(sent), self.now_ns)
        self._drain()
        return sent

    def up(self, change: Callable[[bytes], bytes] = bytes) -> bytes:
        """Client to server: all that waits, as `change` makes it. Returns what was sent."""
        sent = self.client.to_send()
        self.server.receive(change(sent), self.now_ns)
        self._drain()
        return sent

    def to_confirm(self) -> None:
        """Goes through messages 1, 2 and 3; CONFIRM waits at the client."""
        self.down()
        self.up()
        self.down()
        assert self.client.state is client_session.State.AWAIT_ACCEPT

    def to_running(self) -> None:
        """Goes through the handshake; ACCEPT is delivered, SESSION is the caller's."""
        self.to_confirm()
        self.up()
        self.down()
        assert self.server.state is server_connection.State.RUNNING
        assert self.client.state is client_session.State.AWAIT_SESSION

    def wait(self, duration_ns: int) -> None:
        """Lets time pass, then asks both ends for what is due."""
        self.now_ns += duration_ns
        self.server.handle_timeout(self.now_ns)
        self.client.handle_timeout(self.now_ns)
        self._drain()

    def server_keys(self) -> SessionKeys | None:
        """The keys of the server, if it believes the client."""
        proved = [e for e in self.server_events if isinstance(e, server_connection.Proved)]
        return proved[0].keys if proved else None

    def _drain(self) -> None:
        self.server_events += self.server.events()
        self.client_events += self.client.events()


def flip(bit: int) -> Callable[[bytes], bytes]:
    """Changes one bit of what passes."""

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return change


def error(code: Code) -> bytes:
    """An ERROR frame."""
    return frames.pack_error(code)


def closed_with(pair: Pair) -> Code | None:
    """Why the server's connection is over; it must be, and have said so once."""
    (event,) = [e for e in pair.server_events if isinstance(e, Closed)]
    assert pair.server.state is State.CLOSED
    assert pair.server.timeout_ns() is None
    return event.code


def tickets_free(pair: Pair) -> int:
    """How many more guesses the address has now."""
    free = 0
    while pair.admission.take_ticket(HOST):
        free += 1
    for _ in range(free):
        pair.admission.give_back(HOST)
    return free


def all_tickets_out() -> Pair:
    """A server whose only ticket another connection holds; HELLO is in."""
    pair = Pair(admission=Admission(limit=1, bans=BanList()))
    assert pair.admission.take_ticket(HOST)
    pair.down()
    pair.up()
    assert pair.server.state is State.QUEUED
    assert pair.server.to_send() == b""
    return pair
