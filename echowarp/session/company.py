"""People as a client is told of them: who is there, its own call, its own room.

Source: protocol 1, sections 4 and 7. It outlives sessions: whoever comes back from a lost
one takes its name, call and room along, and asks for them anew at a server that was
started anew.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from echowarp.errors import ConfigError
from echowarp.session.company_events import (
    CallChanged,
    Came,
    Changed,
    CompanyEvent,
    Entered,
    Message,
    Refused,
    RoomChanged,
    Went,
)
from echowarp.session.names import parse_name
from echowarp.wire.people import (
    NO_TOKEN,
    Appear,
    Call,
    CallAction,
    CallNews,
    Denied,
    Enter,
    Left,
    Listed,
    Pair,
    PeopleRecord,
    Room,
    RoomNews,
    User,
    Welcome,
)
from echowarp.wire.people_codes import (
    CallAct,
    CallReason,
    CallState,
    Presence,
    RoomState,
    Wish,
)

NS_PER_S = 1_000_000_000
CALL_KEPT_NS = 15 * NS_PER_S
"""How long a call outlives a lost session."""


class Stage(Enum):
    """Where our call is."""

    NONE = auto()
    ASKED = auto()
    """Nothing has been heard of it yet."""
    WAITING = auto()
    RINGING = auto()
    INCOMING = auto()
    CONNECTED = auto()


STAGES = {
    CallState.WAITING: Stage.WAITING,
    CallState.RINGING: Stage.RINGING,
    CallState.INCOMING: Stage.INCOMING,
    CallState.CONNECTED: Stage.CONNECTED,
    CallState.ENDED: Stage.NONE,
}
OURS = (Stage.ASKED, Stage.WAITING, Stage.RINGING, Stage.CONNECTED)
"""Calls that are asked for anew at a server that does not know of them."""


def _clean(text: str) -> str:
    """A name or a room as it may be shown. The server may send anything."""
    try:
        return parse_name(text).shown if text else ""
    except ConfigError:
        return "?"


class Company:
    """One client's view. name: its own; call, room: whom to call and where to be at first,
    empty for neither. One thread owns it."""

    def __init__(self, *, name: str, call: str = "", room: str = "") -> None:
        self.name = name
        self.user = 0
        """Our id in this session, 0 before we have a name."""
        self.users: dict[int, User] = {}
        """The others."""
        self.room = ""
        """Where we are."""
        self.stage = Stage.ASKED if call else Stage.NONE
        self.call_name = call
        """The other end of our call."""
        self.partner = 0
        """Its id, 0 while it is not there."""
        self._wanted_room = room
        self._own_id = 0
        self._token = self._next_token = NO_TOKEN
        self._presence = Presence(0)
        self._lost_ns: int | None = None
        self._hung_up = ""
        """Whose call we have ended while we were away: the server is still to be told."""
        self._out: list[PeopleRecord] = []
        self._events: list[CompanyEvent] = []

    @property
    def hearers(self) -> frozenset[int]:
        """Whom what we say reaches: the other end of the call, or all of the room."""
        if self.stage is Stage.CONNECTED:
            users = [self.partner]
        else:
            users = [user for user, person in self.users.items() if self._is_beside(person)]
        there = (user for user in users if user in self.users)
        return frozenset(u for u in there if not self.users[u].presence & Presence.AWAY)

    def _is_beside(self, person: User) -> bool:
        return bool(self.room) and person.room == self.room

    def begin(self, user: int, token: bytes) -> None:
        """A session began. user, token: as SESSION told."""
        self._own_id, self._next_token = user, token
        self.users.clear()

    def enter(self) -> None:
        """Says our name, and what we come for."""
        wish, target = Wish.PRESENCE, ""
        calls = self.stage in OURS
        if calls and not self._hung_up:
            wish, target = Wish.CALL, self.call_name
        elif self._wanted_room:
            wish, target = Wish.ROOM, self._wanted_room
        self._out.append(
            Enter(
                wish=wish,
                presence=self._presence,
                resume=self._token,
                name=self.name,
                target=target,
            )
        )
        if self._hung_up:
            self._out.append(CallAction(act=CallAct.HANG_UP, user=0))
            self._out += [Call(name=self.call_name)] * calls

    def session_lost(self, now_ns: int) -> None:
        """The session is over. A call that was connected is waited for."""
        self.user = self.partner = 0
        self.users.clear()
        self._out.clear()
        if self.stage is Stage.CONNECTED and self._lost_ns is None:
            self._lost_ns = now_ns + CALL_KEPT_NS
        elif self.stage is Stage.INCOMING:
            self._call_over(CallReason.GONE)

    @property
    def call_is_lost(self) -> bool:
        """Whether a connected call waits for a session."""
        return self._lost_ns is not None

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        return self._lost_ns

    def handle_timeout(self, now_ns: int) -> None:
        """Gives up a call that has been lost for too long."""
        if self._lost_ns is not None and now_ns >= self._lost_ns:
            if self.user:
                self._out.append(CallAction(act=CallAct.HANG_UP, user=0))
            self._call_over(CallReason.LOST)

    def _call_over(self, reason: CallReason) -> None:
        name = self.call_name
        self._no_call()
        self._events.append(CallChanged(state=CallState.ENDED, reason=reason, name=name))

    def _no_call(self) -> None:
        self.stage, self.call_name, self.partner, self._lost_ns = Stage.NONE, "", 0, None

    def appear(self, presence: Presence) -> None:
        """We are muted or talk now, or not any more."""
        if presence != self._presence:
            self._presence = presence
            if self.user:
                self._out.append(Appear(presence=presence))

    def call(self, name: str) -> None:
        """Calls somebody."""
        if self.stage is Stage.NONE:
            self.stage, self.call_name = Stage.ASKED, name
        if self.user:
            self._out.append(Call(name=name))

    def answer(self) -> None:
        """Answers whoever calls."""
        if self.stage is Stage.INCOMING:
            self._out.append(CallAction(act=CallAct.ANSWER, user=self.partner))

    def hang_up(self) -> None:
        """Ends our call, or declines the one that rings here."""
        act = CallAct.DECLINE if self.stage is Stage.INCOMING else CallAct.HANG_UP
        if self.stage is not Stage.NONE and self.user:
            user = self.partner if act is CallAct.DECLINE else 0
            self._out.append(CallAction(act=act, user=user))
        elif self.stage is not Stage.NONE:
            self._hung_up = self.call_name
            self._call_over(CallReason.HUNG_UP)

    def go(self, room: str) -> None:
        """Goes to a room; empty: out of the one we are in."""
        self._wanted_room = room
        if self.user:
            self._out.append(Room(name=room))

    def say(self, user: int, data: bytes) -> None:
        """A message for another client about the code."""
        if self.user:
            self._out.append(Pair(user=user, data=data))

    def receive(self, record: PeopleRecord) -> None:
        """The server says something about people. What is no server's to say is ignored."""
        if isinstance(record, User):
            self._on_user(record)
        elif isinstance(record, Left):
            person = self.users.pop(record.user, None)
            if person is not None:
                self._events.append(Went(person=person, reason=record.reason))
        elif isinstance(record, CallNews):
            self._on_call(record)
        elif isinstance(record, RoomNews):
            self._on_room(record)
        elif isinstance(record, Welcome):
            self._on_welcome(record)
        elif isinstance(record, Denied):
            self._events.append(Refused(reason=record.reason, suggestion=_clean(record.suggestion)))
        elif isinstance(record, Pair):
            self._events.append(Message(user=record.user, data=record.data))
        elif isinstance(record, Listed):
            pass  # each was told already

    def _on_welcome(self, welcome: Welcome) -> None:
        self.user, self.name = welcome.user, _clean(welcome.name)
        self._token = self._next_token
        if not welcome.resumed:
            self.room = ""
        self._events.append(Entered(name=self.name, resumed=welcome.resumed))

    def _on_user(self, user: User) -> None:
        user = replace(user, room=_clean(user.room))
        if user.user == self._own_id:
            self.room = user.room
            return
        user = replace(user, name=_clean(user.name))
        before, self.users[user.user] = self.users.get(user.user), user
        if before is None:
            self._events.append(Came(person=user))
        else:
            self._events.append(Changed(person=user, before=before))

    def _on_call(self, news: CallNews) -> None:
        news = replace(news, name=_clean(news.name))
        if self._hung_up and self._is_old(news):
            return
        if news.state is CallState.REFUSED:
            if self.stage is Stage.ASKED:
                self._no_call()
        elif news.state is CallState.ENDED:
            self._no_call()
        else:
            was_connected = self.stage is Stage.CONNECTED or self.call_is_lost
            again = was_connected and news.state is CallState.CONNECTED
            self.stage, self.call_name, self.partner = STAGES[news.state], news.name, news.user
            if self.stage is Stage.CONNECTED:
                self._lost_ns = None
            self._events.append(
                CallChanged(state=news.state, reason=news.reason, name=news.name, again=again)
            )
            return
        self._events.append(CallChanged(state=news.state, reason=news.reason, name=news.name))

    def _is_old(self, news: CallNews) -> bool:
        """Whether that is of the call that we have ended while we were away."""
        is_old = news.name == self._hung_up and news.state is not CallState.INCOMING
        if not is_old or news.state is CallState.ENDED:
            self._hung_up = ""
        return is_old

    def _on_room(self, news: RoomNews) -> None:
        news = replace(news, name=_clean(news.name))
        if news.state is RoomState.JOINED:
            self.room = self._wanted_room = news.name
        elif news.state is RoomState.LEFT:
            self.room = self._wanted_room = ""
        elif self.room:
            self._wanted_room = self.room
        self._events.append(RoomChanged(state=news.state, name=news.name))

    def to_send(self) -> list[PeopleRecord]:
        """Drains the records for the server."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[CompanyEvent]:
        """Drains what has happened."""
        events, self._events = self._events, []
        return events
