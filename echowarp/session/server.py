"""All control connections of a server: caps, sessions, goodbyes.

Source: protocol 1, section 6. The shell in `net` feeds it and pumps what it
drains; it owns no socket and reads no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.channel import NS_PER_S
from echowarp.session.crowding import make_room
from echowarp.session.exchange import RandomBytes
from echowarp.session.server_connection import (
    Closed,
    ConnectionEvent,
    Guessed,
    Proved,
    ServerConnection,
)
from echowarp.session.server_events import (
    Joined,
    Left,
    Said,
    ServerEvent,
    TurnedAway,
    WrongPassword,
)
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.people import PeopleRecord
from echowarp.wire.records import RESUME_BYTES, Anchor, End, Record, Session, Stream, UdpOk

FAREWELL_NS = 3 * NS_PER_S
"""How long listeners may take to finish a stream that has ended."""
MAX_USER = 0xFFFF
OWN_RECORDS = Stream | Anchor | End | PeopleRecord
"""What a client says about people, or about a stream of its own."""


class Server:
    """The control side of a server.

    prs: encoded password, empty for none; max_clients: sessions at once;
    streams: gives the STREAM records that a new session is told.
    """

    def __init__(
        self,
        *,
        prs: bytes,
        suite: Suite,
        max_clients: int,
        admission: Admission,
        random_bytes: RandomBytes,
        streams: Callable[[], Sequence[Stream]],
    ) -> None:
        self._prs = prs
        self._suite = suite
        self.max_clients = max_clients
        self._admission = admission
        self._random_bytes = random_bytes
        self._streams = streams
        self._connections: dict[int, ServerConnection] = {}
        self._due_ns: dict[int, int] = {}
        self._users: dict[int, int] = {}
        self._last_user = 0
        self._out: list[tuple[int, bytes, bool]] = []
        self._events: list[ServerEvent] = []
        self._closing: Code | None = None
        self._farewell: dict[int, int] = {}
        self._last_stream: int | None = None

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self._users)

    @property
    def idle(self) -> bool:
        """Whether no connection is left."""
        return not self._connections

    def replace_bans(self, bans: BanList) -> None:
        """The ban list has been read again. Failures and tickets stay counted."""
        self._admission.bans = bans

    def connected(self, connection: int, host: str, now_ns: int) -> None:
        """A TCP connection was accepted. host: the peer's numeric address."""
        refusal = self._refusal(host)
        unfinished = [each for each in self._connections.values() if each.unfinished]
        if refusal is None and not make_room(unfinished, host, now_ns):
            refusal = Code.TOO_MANY
        if refusal is not None:
            self._out.append((connection, frames.pack_error(refusal), True))
            self._events.append(TurnedAway(host=host, code=refusal, detail="on arrival"))
            return
        self._connections[connection] = ServerConnection(
            host=host,
            prs=self._prs,
            admission=self._admission,
            random_bytes=self._random_bytes,
            now_ns=now_ns,
        )
        self._settle((), now_ns)

    def _refusal(self, host: str) -> Code | None:
        if self._closing is not None:
            return Code.CLOSING
        if self._prs and self._admission.is_banned(host):
            return Code.BANNED
        return Code.FULL if self.sessions >= self.max_clients else None

    def received(self, connection: int, data: bytes, now_ns: int) -> None:
        """TCP brought bytes."""
        if connection in self._connections:
            self._connections[connection].receive(data, now_ns)
            self._settle((connection,), now_ns)

    def disconnected(self, connection: int, now_ns: int) -> None:
        """TCP ended: the peer left, did not read, or the network failed."""
        if connection in self._connections:
            self._connections[connection].receive_eof(now_ns)
            self._settle((connection,), now_ns)

    def udp_heard(self, connection: int, number: int, port: int, now_ns: int) -> None:
        """A session's datagrams arrive, from a new address or port."""
        if connection in self._connections:
            self._connections[connection].send(UdpOk(number=number, port=port), now_ns)
            self._settle((connection,), now_ns)

    def anchor(self, anchor: Anchor, now_ns: int) -> None:
        """Tells every session when a frame was captured."""
        self.send([(connection, anchor) for connection in self._users], now_ns)

    def send(self, records: Iterable[tuple[int, Record]], now_ns: int) -> None:
        """Tells sessions, each by its connection; those that are over are told nothing."""
        told = [each for each in records if each[0] in self._users]
        for connection, record in told:
            self._connections[connection].send(record, now_ns)
        self._settle({connection for connection, _ in told}, now_ns)

    def finish(self, end: End | None, now_ns: int) -> None:
        """The last stream has ended and none can follow: END, then CLOSE 200 as each
        client is done with it, or at once when there was no stream."""
        self._closing = Code.FINISHED
        self._last_stream = None if end is None else end.stream
        for connection in tuple(self._users):
            if end is None:
                self._connections[connection].close(Code.FINISHED, "finished", now_ns)
            else:
                self._connections[connection].send(end, now_ns)
                self._farewell[connection] = now_ns + FAREWELL_NS
        self._close_unfinished(now_ns)
        self._settle(self._users, now_ns)

    def close_all(self, code: Code, now_ns: int) -> None:
        """Says goodbye to everybody and takes no more connections."""
        self._closing = code
        for connection in tuple(self._users):
            self._connections[connection].close(code, "the server closes", now_ns)
        self._close_unfinished(now_ns)
        self._settle(self._users, now_ns)

    def close_session(self, connection: int, code: Code, detail: str, now_ns: int) -> None:
        """Ends one session."""
        if connection in self._users:
            self._connections[connection].close(code, detail, now_ns)
            self._settle((connection,), now_ns)

    def _close_unfinished(self, now_ns: int) -> None:
        for held in self._connections.values():
            if held.unfinished:
                held.close(Code.CLOSING, "the server closes", now_ns)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called; None for never."""
        due_ns = (min(each.values(), default=None) for each in (self._due_ns, self._farewell))
        return min((each for each in due_ns if each is not None), default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        late = [connection for connection, due_ns in self._due_ns.items() if now_ns >= due_ns]
        for connection in late:
            self._connections[connection].handle_timeout(now_ns)
        waited = [connection for connection, due_ns in self._farewell.items() if now_ns >= due_ns]
        for connection in waited:
            self._connections[connection].close(Code.FINISHED, "finished", now_ns)
        self._settle((*late, *waited), now_ns)

    def to_send(self) -> list[tuple[int, bytes, bool]]:
        """Drains (connection, bytes, whether to close once they are out)."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[ServerEvent]:
        """Drains what has happened."""
        events, self._events = self._events, []
        return events

    def _settle(self, touched: Iterable[int], now_ns: int) -> None:
        """Carries out what the connections report, hands free tickets on, collects output.

        touched: the sessions that something was done with; hundreds of others are left
        alone. Whoever has no session yet may wait for what another one gives back.
        """
        unfinished = self._connections.keys() - self._users.keys()
        concerned = sorted(unfinished.union(touched))
        for connection in concerned:
            self._carry_out(connection, now_ns)
        for connection in concerned:
            self._connections[connection].try_reply(now_ns)
            self._carry_out(connection, now_ns)
        for connection in concerned:
            held = self._connections[connection]
            out, due_ns = held.to_send(), held.timeout_ns()
            if out or held.closed:
                self._out.append((connection, out, held.closed))
            if held.closed:
                del self._connections[connection]
            if held.closed or due_ns is None:
                self._due_ns.pop(connection, None)
            else:
                self._due_ns[connection] = due_ns

    def _carry_out(self, connection: int, now_ns: int) -> None:
        for event in self._connections[connection].events():
            self._on_event(connection, event, now_ns)

    def _on_event(self, connection: int, event: ConnectionEvent, now_ns: int) -> None:
        held = self._connections[connection]
        if isinstance(event, Proved):
            self._begin(connection, event.keys, now_ns)
        elif isinstance(event, Guessed):
            self._events.append(WrongPassword(host=held.host, banned=event.banned))
        elif isinstance(event, Closed):
            self._farewell.pop(connection, None)
            told: ServerEvent = TurnedAway(host=held.host, code=event.code, detail=event.detail)
            user = self._users.pop(connection, None)
            if user is not None:
                told = Left(
                    connection=connection,
                    host=held.host,
                    user=user,
                    detail=event.detail,
                    lost=event.lost,
                )
            self._events.append(told)
        elif self._is_farewell(connection, event.record):
            held.close(Code.FINISHED, "finished", now_ns)
            self._carry_out(connection, now_ns)
        elif connection in self._users and isinstance(event.record, OWN_RECORDS):
            user = self._users[connection]
            self._events.append(Said(connection=connection, user=user, record=event.record))

    def _is_farewell(self, connection: int, record: Record) -> bool:
        """Whether a client is done with our stream; it may end one of its own meanwhile."""
        if connection not in self._farewell or not isinstance(record, End):
            return False
        return record.stream == self._last_stream

    def _begin(self, connection: int, keys: SessionKeys, now_ns: int) -> None:
        held = self._connections[connection]
        # Room is asked for again: others may have finished meanwhile.
        if self.sessions >= self.max_clients:
            held.close(Code.FULL, "full meanwhile", now_ns)
            return
        user = self._users[connection] = self._free_user()
        resume = self._random_bytes(RESUME_BYTES)
        self._events.append(
            Joined(connection=connection, host=held.host, user=user, keys=keys, resume=resume)
        )
        held.send(Session(suite=self._suite, user=user, resume=resume), now_ns)
        for stream in self._streams():
            held.send(stream, now_ns)

    def _free_user(self) -> int:
        taken = set(self._users.values())
        while True:
            self._last_user = self._last_user % MAX_USER + 1
            if self._last_user not in taken:
                return self._last_user
