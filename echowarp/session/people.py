"""People at a server: what clients say about names, calls and rooms, and what they are told.

It knows users, not connections: the numbers that SESSION gives. Who hears whom follows
from calls and rooms: two in a call hear each other and nobody else, so a room that one of
them is in waits for the call's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from echowarp.errors import ConfigError
from echowarp.session.calls import Calls, News
from echowarp.session.names import parse_name
from echowarp.session.pace import Pace
from echowarp.session.rooms import Rooms
from echowarp.session.roster import Roster
from echowarp.wire.people import (
    Appear,
    Call,
    CallAction,
    CallNews,
    Enter,
    Pair,
    PeopleRecord,
    Room,
    RoomNews,
)
from echowarp.wire.people_codes import CallAct, CallReason, RoomState, Wish

NS_PER_S = 1_000_000_000
RECORD_EVERY_NS = NS_PER_S // 10
RECORDS_AT_ONCE = 100
"""Names, calls, rooms and messages to others: ten a second, and a hundred at once, which
is what somebody needs who meets fifteen others in a room and proves a code to each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Displaced:
    """The session of `user` was taken over by another one of its client: close it."""

    user: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooding:
    """A session of `user` says more than anybody needs to; told once a second."""

    user: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What `user` says goes to `listeners` from now on, and to nobody else."""

    user: int
    listeners: frozenset[int]


PeopleEvent: TypeAlias = Displaced | Flooding | Hearing


class _Visit:
    """One session. token: what it may come back with."""

    __slots__ = ("pace", "token", "told_until_ns")

    def __init__(self, token: bytes, now_ns: int) -> None:
        self.token = token
        self.told_until_ns = now_ns
        self.pace = Pace(every_ns=RECORD_EVERY_NS, burst_ns=RECORDS_AT_ONCE * RECORD_EVERY_NS)


class People:
    """Names, calls and rooms of one server. max_people: names at most."""

    def __init__(self, *, max_people: int) -> None:
        self.roster = Roster(max_people=max_people)
        self.calls = Calls(self.roster.find)
        self.rooms = Rooms()
        self._visits: dict[int, _Visit] = {}
        self._hearing: dict[int, frozenset[int]] = {}
        self._out: list[tuple[int, PeopleRecord]] = []
        self._events: list[PeopleEvent] = []
        self._moved = False
        """Who hears whom may have changed: that is worked out only then."""

    def joined(self, user: int, token: bytes, now_ns: int) -> None:
        """A session began; token: the `resume` that its SESSION told."""
        self._visits[user] = _Visit(token, now_ns)

    def left(self, user: int, *, lost: bool, now_ns: int) -> None:
        """A session ended. lost: neither side said goodbye, so it may come back."""
        if self._visits.pop(user, None) is None:
            return
        self._moved = True
        if lost:
            self.roster.lost(user, now_ns)
        else:
            self.roster.left(user)
        self._settle()

    def receive(self, user: int, record: PeopleRecord, now_ns: int) -> None:
        """A client says something about people. What is no client's to say is ignored."""
        visit = self._visits.get(user)
        if visit is None:
            return
        if isinstance(record, Appear):
            # The roster keeps the last one and tells it when it may.
            self.roster.appear(user, record.presence, now_ns)
        elif isinstance(record, CallAction):
            # Each needs a call, and calls are counted.
            self._act(user, record)
        elif isinstance(record, Enter | Call | Room | Pair):
            if visit.pace.affords(now_ns):
                self._obey(user, record, now_ns)
            elif now_ns >= visit.told_until_ns:
                visit.told_until_ns = now_ns + NS_PER_S
                self._say_too_fast(user, record)
        self._settle()

    def _obey(self, user: int, record: Enter | Call | Room | Pair, now_ns: int) -> None:
        seat = self.roster.seat_of(user)
        if isinstance(record, Enter):
            self._enter(user, record, now_ns)
        elif seat is None:
            return
        elif isinstance(record, Call):
            self._call(seat, record.name, now_ns)
        elif isinstance(record, Room):
            self._room(seat, record.name, now_ns)
        elif self._are_together(seat, record.user):
            self._out.append((record.user, Pair(user=user, data=record.data)))

    def _enter(self, user: int, record: Enter, now_ns: int) -> None:
        if record.wish is Wish.LIST:
            self.roster.list_to(user)
            return
        entered = self.roster.enter(
            user,
            record.name,
            token=self._visits[user].token,
            resume=record.resume,
            presence=record.presence,
            now_ns=now_ns,
        )
        if entered is None:
            return
        self._moved = True
        if entered.displaced is not None:
            self._events.append(Displaced(user=entered.displaced))
            self._visits.pop(entered.displaced, None)
        if entered.resumed:
            self.calls.back(entered.seat)
        has_call = entered.resumed and self.calls.has(entered.seat)
        if record.wish is Wish.CALL and not has_call:
            self._call(entered.seat, record.target, now_ns)
        elif record.wish is Wish.ROOM and not self.rooms.name_of(entered.seat):
            self._room(entered.seat, record.target, now_ns)
        # After its own wish: two who wait for each other are put through without a ring.
        key = parse_name(self.roster.known_as(entered.seat)[1]).key
        self.calls.came(entered.seat, key, now_ns)

    def _call(self, seat: int, text: str, now_ns: int) -> None:
        try:
            name = parse_name(text)
        except ConfigError:
            self.calls.refuse(seat, CallReason.BAD_NAME, "")
            return
        self.calls.call(seat, name, now_ns)

    def _room(self, seat: int, text: str, now_ns: int) -> None:
        answer = self.rooms.join(seat, text) if text else self.rooms.leave(seat)
        self._moved = True
        user = self.roster.user_of(seat)
        assert user is not None, "only somebody who is here asks for a room"
        # Whoever has just come is told first that it is here.
        self._out += self.roster.to_send()
        self._out.append((user, RoomNews(state=answer.state, name=answer.name)))
        self.roster.move(seat, self.rooms.name_of(seat), now_ns)

    def _act(self, user: int, record: CallAction) -> None:
        seat = self.roster.seat_of(user)
        if seat is None:
            return
        if record.act is CallAct.HANG_UP:
            self.calls.hang_up(seat)
            return
        # The call that is meant may be over, and another ring already.
        caller = self.calls.ringing_from(seat)
        if caller is None or record.user not in (0, self.roster.known_as(caller)[0]):
            return
        if record.act is CallAct.ANSWER:
            self.calls.answer(seat)
        else:
            self.calls.decline(seat)

    def _say_too_fast(self, user: int, record: PeopleRecord) -> None:
        self._events.append(Flooding(user=user))
        seat = self.roster.seat_of(user)
        if isinstance(record, Call) and seat is not None:
            self.calls.refuse(seat, CallReason.TOO_FAST, "")
        elif isinstance(record, Room):
            self._out.append((user, RoomNews(state=RoomState.TOO_FAST, name="")))

    def _are_together(self, seat: int, user: int) -> bool:
        other = self.roster.seat_of(user)
        return other is not None and (
            other == self.calls.partner(seat) or other in self.rooms.others(seat)
        )

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        due = (self.roster.timeout_ns(), self.calls.timeout_ns())
        return min((each for each in due if each is not None), default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        self.roster.handle_timeout(now_ns)
        self.calls.handle_timeout(now_ns)
        self._settle()

    def to_send(self) -> list[tuple[int, PeopleRecord]]:
        """Drains (user, record)."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[PeopleEvent]:
        """Drains what has happened."""
        events, self._events = self._events, []
        return events

    def _settle(self) -> None:
        departed: dict[int, tuple[int, str]] = {}
        for gone in self.roster.gone():
            departed[gone.seat] = gone.user, gone.name
            self.calls.gone(gone.seat, lost=gone.lost)
            self.rooms.leave(gone.seat)
            self._moved = True
        # The roster first: whoever is named in the news is known by then.
        self._out += self.roster.to_send()
        for news in self.calls.news():
            self._tell(news, departed)
            self._moved = True
        if self._moved:
            self._moved = False
            self._tell_hearing()

    def _tell(self, news: News, departed: Mapping[int, tuple[int, str]]) -> None:
        user = self.roster.user_of(news.seat)
        if user is None:
            return
        peer, name = 0, ""
        if news.peer is not None:
            peer, name = departed.get(news.peer) or self.roster.known_as(news.peer)
        record = CallNews(state=news.state, reason=news.reason, user=peer, name=name or news.name)
        self._out.append((user, record))

    def _tell_hearing(self) -> None:
        hearing = {}
        for seat in self.roster.seats_here():
            user = self.roster.user_of(seat)
            assert user is not None
            hearing[user] = self._listeners(seat)
        for user, listeners in hearing.items():
            if self._hearing.get(user, frozenset()) != listeners:
                self._events.append(Hearing(user=user, listeners=listeners))
        self._hearing = hearing

    def _listeners(self, seat: int) -> frozenset[int]:
        partner = self.calls.partner(seat)
        seats = self.rooms.others(seat) if partner is None else (partner,)
        # Who is in a call hears only that.
        heard_by = (each for each in seats if self.calls.partner(each) in (None, seat))
        users = (self.roster.user_of(each) for each in heard_by)
        return frozenset(user for user in users if user is not None)
