"""Names, calls and rooms on the control thread: between sessions and the switchboard."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from echowarp.session.people import Displaced, Flooding, Hearing, People
from echowarp.session.server import Server
from echowarp.session.server_events import Joined, Left
from echowarp.wire.codes import Code
from echowarp.wire.people import CallNews, Enter, PeopleRecord, RoomNews, Welcome
from echowarp.wire.people_codes import CallState, RoomState, Wish

log = logging.getLogger(__name__)


class PeopleCounts(NamedTuple):
    """How many there are now. people: names, those that are waited for included."""

    people: int = 0
    rooms: int = 0
    calls: int = 0


class PeopleDesk:
    """The people of a server, each by its session.

    room: where those go who name neither a call nor a room, empty for nowhere.
    Told as it changes, by connection: hears with who is heard by whom, overheard with
    everybody who talks to nobody else in private.
    """

    def __init__(
        self,
        server: Server,
        *,
        max_people: int,
        room: str,
        hears: Callable[[int, frozenset[int]], None],
        overheard: Callable[[frozenset[int]], None],
    ) -> None:
        self._server = server
        self._people = People(max_people=max_people)
        self._room = room
        self._hears = hears
        self._overheard = overheard
        self._connections: dict[int, int] = {}
        """Of each user."""
        self._names: dict[int, str] = {}
        self._public: frozenset[int] = frozenset()
        self.counts = PeopleCounts()
        """Replaced whole. From any thread."""

    def joined(self, event: Joined, now_ns: int) -> None:
        """A session began."""
        self._connections[event.user] = event.connection
        self._people.joined(event.user, event.resume, now_ns)

    def left(self, event: Left, now_ns: int) -> str:
        """A session ended. Returns the name that it had, empty for none."""
        name = self._names.pop(event.user, "")
        self._connections.pop(event.user, None)
        self._people.left(event.user, lost=event.lost, now_ns=now_ns)
        self._settle(now_ns)
        return name

    def said(self, user: int, record: PeopleRecord, now_ns: int) -> None:
        """A client says something about people."""
        if self._room and isinstance(record, Enter) and record.wish is Wish.PRESENCE:
            record = replace(record, wish=Wish.ROOM, target=self._room)
        self._people.receive(user, record, now_ns)
        self._settle(now_ns)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        return self._people.timeout_ns()

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        due_ns = self._people.timeout_ns()
        if due_ns is not None and now_ns >= due_ns:
            self._people.handle_timeout(now_ns)
            self._settle(now_ns)

    def _settle(self, now_ns: int) -> None:
        people = self._people
        told, events = people.to_send(), people.events()
        self.counts = PeopleCounts(len(people.roster), len(people.rooms), len(people.calls))
        if not told and not events:
            return
        for user, record in told:
            self._log(user, record)
        here = self._connections
        self._server.send([(here[user], each) for user, each in told if user in here], now_ns)
        for event in events:
            if isinstance(event, Hearing):
                self._tell_hearing(event)
            elif isinstance(event, Displaced):
                detail = "its client is back in another session"
                self._server.close_session(here[event.user], Code.DISPLACED, detail, now_ns)
            else:
                self._log_flood(event)
        self._tell_public()

    def _tell_hearing(self, event: Hearing) -> None:
        connection = self._connections.get(event.user)
        if connection is not None:
            found = map(self._connections.get, event.listeners)
            self._hears(connection, frozenset(each for each in found if each is not None))

    def _tell_public(self) -> None:
        people = self._people
        seats = [seat for seat in people.roster.seats_here() if people.calls.partner(seat) is None]
        found = (self._connections.get(people.roster.known_as(seat)[0]) for seat in seats)
        public = frozenset(each for each in found if each is not None)
        if public != self._public:
            self._public = public
            self._overheard(public)

    def _log_flood(self, event: Flooding) -> None:
        log.info("%s asks for more than anybody needs: the rest is ignored", self._name(event.user))

    def _name(self, user: int) -> str:
        return self._names.get(user) or f"listener {user}"

    def _log(self, user: int, record: PeopleRecord) -> None:
        if isinstance(record, Welcome):
            before, self._names[user] = self._names.get(user), record.name
            if before is None:
                came = "is back" if record.resumed else "has come"
                log.info("%s %s (listener %d)", record.name, came, user)
            elif before != record.name:
                log.info("%s is called %s now", before, record.name)
        elif isinstance(record, CallNews):
            self._log_call(self._name(user), user, record)
        elif isinstance(record, RoomNews) and record.state is RoomState.JOINED:
            log.info("%s is in room %s", self._name(user), record.name)

    def _log_call(self, name: str, user: int, news: CallNews) -> None:
        # Both sides of a call are told of it, a caller alone where the other is away.
        is_first = user < news.user or news.user not in self._names
        if news.state is CallState.RINGING:
            log.info("%s calls %s", name, news.name)
        elif news.state is CallState.WAITING:
            log.info("%s waits for %s", name, news.name)
        elif news.state is CallState.CONNECTED and is_first:
            log.info("%s and %s are in a call", name, news.name)
        elif news.state is CallState.ENDED and is_first:
            why = news.reason.name.lower().replace("_", " ")
            log.info("the call of %s and %s is over: %s", name, news.name, why)


class Attended:
    """The control connections of a server and its people behind the same sockets."""

    def __init__(self, server: Server, desk: PeopleDesk) -> None:
        self._server = server
        self._desk = desk
        self.connected = server.connected
        self.received = server.received
        self.disconnected = server.disconnected
        self.to_send = server.to_send

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` wants to be called; None for never."""
        due = (self._server.timeout_ns(), self._desk.timeout_ns())
        return min((each for each in due if each is not None), default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        self._server.handle_timeout(now_ns)
        self._desk.handle_timeout(now_ns)
