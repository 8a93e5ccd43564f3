"""The rooms of a server: everybody in one hears everybody else in it.

A room is there as long as somebody is in it, and everybody is in one at most, so there
are never more rooms than people.
"""

from __future__ import annotations

from typing import NamedTuple

from echowarp.errors import ConfigError
from echowarp.session.names import Clash, Name, NameBook, parse_name
from echowarp.wire.people_codes import RoomState

MAX_TALKERS = 16


class RoomAnswer(NamedTuple):
    """What became of a wish, and of which room."""

    state: RoomState
    name: str


class _Room:
    """One room and the seats in it, in the order of joining."""

    __slots__ = ("name", "seats")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.seats: dict[int, None] = {}


class Rooms:
    """All rooms. Seats as in `calls`."""

    def __init__(self) -> None:
        self._book: NameBook[_Room] = NameBook()
        self._of: dict[int, _Room] = {}

    def __len__(self) -> int:
        return len(self._book)

    def name_of(self, seat: int) -> str:
        """The room that a seat is in, empty for none."""
        room = self._of.get(seat)
        return "" if room is None else room.name.shown

    def others(self, seat: int) -> tuple[int, ...]:
        """Who else is in the room of a seat, in the order of joining."""
        room = self._of.get(seat)
        return () if room is None else tuple(each for each in room.seats if each != seat)

    def join(self, seat: int, text: str) -> RoomAnswer:
        """Takes a seat to the room of that name, made if need be, and out of its own.

        Where that cannot be, it stays where it is.
        """
        try:
            name = parse_name(text, "room's name")
        except ConfigError:
            return RoomAnswer(RoomState.BAD_NAME, "")
        clash = self._book.clash(name)
        if clash is not None and clash[0] is Clash.LOOKS_LIKE:
            return RoomAnswer(RoomState.LOOKS_LIKE, clash[1].shown)
        room = None if clash is None else clash[2]
        if room is not None and seat not in room.seats and len(room.seats) >= MAX_TALKERS:
            return RoomAnswer(RoomState.FULL, room.name.shown)
        if room is None or seat not in room.seats:
            self.leave(seat)
            if room is None:
                room = _Room(name)
                self._book.add(name, room)
            room.seats[seat] = None
            self._of[seat] = room
        return RoomAnswer(RoomState.JOINED, room.name.shown)

    def leave(self, seat: int) -> RoomAnswer:
        """Takes a seat out of its room, if it is in one."""
        room = self._of.pop(seat, None)
        if room is None:
            return RoomAnswer(RoomState.LEFT, "")
        del room.seats[seat]
        if not room.seats:
            self._book.remove(room.name)
        return RoomAnswer(RoomState.LEFT, room.name.shown)
