"""The users of a server: their names, what each shows, and who is told of it.

Whoever has a name is told of all others, a record for each, and of every change. A
session that is lost keeps its seat for 15 s; its client takes it back with its token.
"""

from __future__ import annotations

from typing import NamedTuple

from echowarp.crypto.schedule import tags_equal
from echowarp.errors import ConfigError
from echowarp.session.names import Clash, Name, NameBook, parse_name
from echowarp.wire.people import NO_TOKEN, Denied, Left, Listed, PeopleRecord, User, Welcome
from echowarp.wire.people_codes import Denial, Leaving, Presence

NS_PER_S = 1_000_000_000
KEPT_NS = 15 * NS_PER_S
"""How long a lost session keeps its seat."""
CHANGE_EVERY_NS = NS_PER_S // 5
"""Changes of one person are told no more often; of several the last one counts."""
OWN_PRESENCE = Presence.MUTED | Presence.TALKING
SUGGESTED = "guest"
"""In place of a name that is none."""


class Entered(NamedTuple):
    """Somebody has a name now. came: it had not before; resumed: it took its seat back;
    displaced: the user whose session it took that from, if that still ran."""

    seat: int
    came: bool
    resumed: bool
    displaced: int | None


class Gone(NamedTuple):
    """A seat is empty for good. user, name: who it was; lost: nobody said goodbye."""

    seat: int
    lost: bool
    user: int
    name: str


class _Person:
    """Somebody with a name. user: of its latest session; here: whether that runs."""

    __slots__ = (
        "free_ns",
        "here",
        "kept_until_ns",
        "name",
        "presence",
        "room",
        "seat",
        "stale",
        "token",
        "user",
    )

    def __init__(self, seat: int, name: Name, now_ns: int) -> None:
        self.seat = seat
        self.name = name
        self.user = 0
        self.here = False
        self.token = NO_TOKEN
        self.presence = Presence(0)
        self.room = ""
        self.kept_until_ns = now_ns
        self.stale = False
        """Others are still to be told of a change, from `free_ns` on."""
        self.free_ns = now_ns

    def record(self) -> User:
        return User(user=self.user, presence=self.presence, name=self.name.shown, room=self.room)


class Roster:
    """All users. max_people: at most so many names, those kept for lost sessions included."""

    def __init__(self, *, max_people: int) -> None:
        self._max_people = max_people
        self._book: NameBook[_Person] = NameBook()
        self._people: dict[int, _Person] = {}
        self._here: dict[int, _Person] = {}
        self._last_seat = 0
        self._out: list[tuple[int, PeopleRecord]] = []
        self._gone: list[Gone] = []

    def __len__(self) -> int:
        return len(self._people)

    def find(self, key: str) -> int | None:
        """The seat that has the name of that key, also while it is kept."""
        person = self._book.holder(key)
        return None if person is None else person.seat

    def seat_of(self, user: int) -> int | None:
        """The seat of a session that runs and has a name."""
        person = self._here.get(user)
        return None if person is None else person.seat

    def user_of(self, seat: int) -> int | None:
        """The user in a seat, None while it is away."""
        person = self._people.get(seat)
        return person.user if person is not None and person.here else None

    def known_as(self, seat: int) -> tuple[int, str]:
        """User id, of the latest session, and name of a seat; 0 and empty for no seat."""
        person = self._people.get(seat)
        return (0, "") if person is None else (person.user, person.name.shown)

    def seats_here(self) -> tuple[int, ...]:
        """The seats whose session runs."""
        return tuple(person.seat for person in self._here.values())

    def enter(
        self, user: int, text: str, *, token: bytes, resume: bytes, presence: Presence, now_ns: int
    ) -> Entered | None:
        """A session says its name, or another one. None, and told why, when it is refused.

        token: what this session may come back with; resume: what it came with.
        """
        try:
            name = parse_name(text, "nickname")
        except ConfigError:
            suggestion = self._book.suggestion(parse_name(SUGGESTED))
            self._out.append((user, Denied(reason=Denial.BAD_NAME, suggestion=suggestion)))
            return None
        own = self._here.get(user)
        if own is None:
            kept = self._kept(name, resume)
            if kept is not None:
                return self._return(kept, user, token, presence, now_ns)
        if not self._may_have(own, user, name, now_ns):
            return None
        if own is not None:
            self._rename(own, name, now_ns)
            return Entered(own.seat, False, False, None)
        return self._come(user, name, token, presence, now_ns)

    def _kept(self, name: Name, resume: bytes) -> _Person | None:
        person = self._book.holder(name.key)
        if person is None or resume == NO_TOKEN:
            return None
        return person if tags_equal(person.token, resume) else None

    def _may_have(self, own: _Person | None, user: int, name: Name, now_ns: int) -> bool:
        reason, clash = None, self._book.clash(name)
        if clash is not None and clash[2] is not own:
            reason = Denial.TAKEN if clash[0] is Clash.SAME else Denial.LOOKS_LIKE
        elif own is None and not self._has_room(now_ns):
            reason = Denial.CROWDED
        if reason is None:
            return True
        suggestion = "" if reason is Denial.CROWDED else self._book.suggestion(name)
        self._out.append((user, Denied(reason=reason, suggestion=suggestion)))
        return False

    def _has_room(self, now_ns: int) -> bool:
        if len(self._people) < self._max_people:
            return True
        away = [person for person in self._people.values() if not person.here]
        if not away:
            return False
        self._remove(min(away, key=lambda person: person.kept_until_ns), Leaving.LOST)
        return True

    def _come(
        self, user: int, name: Name, token: bytes, presence: Presence, now_ns: int
    ) -> Entered:
        self._last_seat += 1
        person = _Person(self._last_seat, name, now_ns)
        self._people[person.seat] = person
        self._book.add(name, person)
        self._sit(person, user, token, presence, resumed=False, now_ns=now_ns)
        return Entered(person.seat, True, False, None)

    def _return(
        self, person: _Person, user: int, token: bytes, presence: Presence, now_ns: int
    ) -> Entered:
        displaced = person.user if person.here else None
        self._here.pop(person.user, None)
        self._tell(Left(user=person.user, reason=Leaving.RETURNED))
        self._sit(person, user, token, presence, resumed=True, now_ns=now_ns)
        return Entered(person.seat, False, True, displaced)

    def _sit(
        self,
        person: _Person,
        user: int,
        token: bytes,
        presence: Presence,
        *,
        resumed: bool,
        now_ns: int,
    ) -> None:
        person.user, person.token, person.here = user, token, True
        person.presence = presence & OWN_PRESENCE
        # The first change is told at once: most who come go into a room.
        person.stale, person.free_ns = False, now_ns
        welcome = Welcome(user=user, resumed=resumed, name=person.name.shown)
        self._out.append((user, welcome))
        self.list_to(user)
        self._here[user] = person
        self._tell(person.record())

    def list_to(self, user: int) -> None:
        """Tells a session of everybody, whether it has a name itself or not."""
        others = [person for person in self._people.values() if person.user != user]
        self._out += ((user, person.record()) for person in others)
        self._out.append((user, Listed(users=len(others))))

    def _rename(self, person: _Person, name: Name, now_ns: int) -> None:
        self._book.remove(person.name)
        person.name = name
        self._book.add(name, person)
        self._out.append((person.user, Welcome(user=person.user, resumed=False, name=name.shown)))
        self._changed(person, now_ns)

    def appear(self, user: int, presence: Presence, now_ns: int) -> None:
        """A session is muted or talks now, or not any more."""
        person = self._here.get(user)
        if person is not None and person.presence != presence & OWN_PRESENCE:
            person.presence = presence & OWN_PRESENCE
            self._changed(person, now_ns)

    def move(self, seat: int, room: str, now_ns: int) -> None:
        """A seat is in that room now, empty for none."""
        person = self._people.get(seat)
        if person is not None and person.room != room:
            person.room = room
            self._changed(person, now_ns)

    def lost(self, user: int, now_ns: int) -> None:
        """The session of a user was lost: its seat is kept for a while."""
        person = self._here.pop(user, None)
        if person is not None:
            person.here = False
            person.presence = person.presence & Presence.MUTED | Presence.AWAY
            person.kept_until_ns = now_ns + KEPT_NS
            self._changed(person, now_ns)

    def left(self, user: int) -> None:
        """A user said goodbye, or was sent away."""
        person = self._here.get(user)
        if person is not None:
            self._remove(person, Leaving.LEFT)

    def _remove(self, person: _Person, reason: Leaving) -> None:
        self._here.pop(person.user, None)
        del self._people[person.seat]
        self._book.remove(person.name)
        self._tell(Left(user=person.user, reason=reason))
        lost = reason is Leaving.LOST
        self._gone.append(Gone(person.seat, lost, person.user, person.name.shown))

    def _changed(self, person: _Person, now_ns: int) -> None:
        person.stale = True
        if now_ns >= person.free_ns:
            person.stale, person.free_ns = False, now_ns + CHANGE_EVERY_NS
            self._tell(person.record())

    def _tell(self, record: PeopleRecord) -> None:
        """Everybody who has a name, the one that it is about included."""
        self._out += ((user, record) for user in self._here)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        due = [person.free_ns for person in self._people.values() if person.stale]
        due += [person.kept_until_ns for person in self._people.values() if not person.here]
        return min(due, default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Tells what has waited, and empties the seats that were kept long enough."""
        for person in tuple(self._people.values()):
            if not person.here and now_ns >= person.kept_until_ns:
                self._remove(person, Leaving.LOST)
            elif person.stale:
                self._changed(person, now_ns)

    def gone(self) -> list[Gone]:
        """Drains the seats that are empty for good."""
        gone, self._gone = self._gone, []
        return gone

    def to_send(self) -> list[tuple[int, PeopleRecord]]:
        """Drains (user, record)."""
        out, self._out = self._out, []
        return out
