"""Control records about people: names, presence, calls, rooms, keys between two of them.

Source: protocol 1, section 4, types 0x30 to 0x3F. Texts travel as `length u8 | UTF-8`, at
most 128 bytes. Bytes behind a known body are ignored and an unknown state or action makes
the record an unknown one, which leaves room to grow; a body that is too short, or a text
that is none, raises ProtocolError. Whether a text may be a name is not asked here.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeVar

from echowarp.errors import ProtocolError
from echowarp.wire.fields import RecordReader, pack_text
from echowarp.wire.people_codes import (
    CallAct,
    CallReason,
    CallState,
    Denial,
    Leaving,
    Presence,
    RoomState,
    Wish,
)

TOKEN_BYTES = 16
NO_TOKEN = bytes(TOKEN_BYTES)
"""In place of a resume token: this client was not here before."""
MAX_PAIR_BYTES = 1000
"""Of a message between two people; a record holds 1024."""


_U8U16 = struct.Struct(">BH")
_NEWS = struct.Struct(">BBH")
_ALL_PRESENCE = Presence.MUTED | Presence.TALKING | Presence.AWAY


class PeopleRecord(ABC):
    """Any of the records below."""

    __slots__ = ()
    TYPE: ClassVar[int]

    @abstractmethod
    def body(self) -> bytes:
        """What follows the type byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter(PeopleRecord):
    """Client: this is my name. Sent again under another name, it renames.

    resume: the token of the session that was lost, or NO_TOKEN; target: whom to call or
    which room to join when `wish` says so and nothing is taken back. Text up to 128 bytes.
    """

    TYPE: ClassVar[int] = 0x30
    wish: Wish
    presence: Presence
    resume: bytes
    name: str
    target: str

    def body(self) -> bytes:
        """`wish u8, presence u8, resume 16, name, target`."""
        head = bytes((self.wish, self.presence)) + self.resume
        return head + pack_text(self.name) + pack_text(self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome(PeopleRecord):
    """Server: you are `user` (u16) and called `name`; resumed: call and room go on."""

    TYPE: ClassVar[int] = 0x31
    user: int
    resumed: bool
    name: str

    def body(self) -> bytes:
        """`resumed u8, user u16, name`."""
        return _U8U16.pack(self.resumed, self.user) + pack_text(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied(PeopleRecord):
    """Server: not under that name; suggestion: one that is free, or empty."""

    TYPE: ClassVar[int] = 0x32
    reason: Denial
    suggestion: str

    def body(self) -> bytes:
        """`reason u8, suggestion`."""
        return bytes((self.reason,)) + pack_text(self.suggestion)


@dataclass(frozen=True, slots=True, kw_only=True)
class User(PeopleRecord):
    """Server: somebody is there, or has changed; room: where it is, empty for nowhere."""

    TYPE: ClassVar[int] = 0x33
    user: int
    presence: Presence
    name: str
    room: str

    def body(self) -> bytes:
        """`presence u8, user u16, name, room`."""
        head = _U8U16.pack(self.presence, self.user)
        return head + pack_text(self.name) + pack_text(self.room)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(PeopleRecord):
    """Server: that user is there no more."""

    TYPE: ClassVar[int] = 0x34
    user: int
    reason: Leaving

    def body(self) -> bytes:
        """`reason u8, user u16`."""
        return _U8U16.pack(self.reason, self.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(PeopleRecord):
    """Server: those were all the users, so many (u16)."""

    TYPE: ClassVar[int] = 0x35
    users: int

    def body(self) -> bytes:
        """`users u16`."""
        return self.users.to_bytes(2, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Appear(PeopleRecord):
    """Client: I am muted or talking now, or not any more."""

    TYPE: ClassVar[int] = 0x36
    presence: Presence

    def body(self) -> bytes:
        """`presence u8`."""
        return bytes((self.presence,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(PeopleRecord):
    """Client: call that name, also when nobody is called so yet."""

    TYPE: ClassVar[int] = 0x37
    name: str

    def body(self) -> bytes:
        """`name`."""
        return pack_text(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAction(PeopleRecord):
    """Client: answer or decline the call of `user`, or hang up (user 0)."""

    TYPE: ClassVar[int] = 0x38
    act: CallAct
    user: int

    def body(self) -> bytes:
        """`act u8, user u16`."""
        return _U8U16.pack(self.act, self.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNews(PeopleRecord):
    """Server: where your call is. user: the other, 0 while it is not there; name: of it."""

    TYPE: ClassVar[int] = 0x39
    state: CallState
    reason: CallReason
    user: int
    name: str

    def body(self) -> bytes:
        """`state u8, reason u8, user u16, name`."""
        return _NEWS.pack(self.state, self.reason, self.user) + pack_text(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room(PeopleRecord):
    """Client: take me to that room, out of the one I am in; empty: only out."""

    TYPE: ClassVar[int] = 0x3A
    name: str

    def body(self) -> bytes:
        """`name`."""
        return pack_text(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomNews(PeopleRecord):
    """Server: what became of it."""

    TYPE: ClassVar[int] = 0x3B
    state: RoomState
    name: str

    def body(self) -> bytes:
        """`state u8, name`."""
        return bytes((self.state,)) + pack_text(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(PeopleRecord):
    """A message between two people, opaque to the server: to `user` on its way there,
    from `user` on its way on. data: 1..1000 bytes."""

    TYPE: ClassVar[int] = 0x3C
    user: int
    data: bytes

    def body(self) -> bytes:
        """`user u16, data`."""
        assert 1 <= len(self.data) <= MAX_PAIR_BYTES, "another length is our own bug"
        return self.user.to_bytes(2, "big") + self.data


EnumT = TypeVar("EnumT", bound=IntEnum)


def _known(kind: type[EnumT], value: int) -> EnumT | None:
    return kind(value) if value in kind._value2member_map_ else None


def _or(kind: type[EnumT], value: int, otherwise: EnumT) -> EnumT:
    known = _known(kind, value)
    return otherwise if known is None else known


def _presence(value: int) -> Presence:
    return Presence(value & _ALL_PRESENCE)


def _enter(read: RecordReader) -> PeopleRecord:
    return Enter(
        wish=_or(Wish, read.u8(), Wish.PRESENCE),
        presence=_presence(read.u8()),
        resume=read.take(TOKEN_BYTES),
        name=read.text(),
        target=read.text(),
    )


def _welcome(read: RecordReader) -> PeopleRecord:
    return Welcome(resumed=read.u8() != 0, user=read.u16(), name=read.text())


def _denied(read: RecordReader) -> PeopleRecord:
    return Denied(reason=_or(Denial, read.u8(), Denial.NOT_HERE), suggestion=read.text())


def _user(read: RecordReader) -> PeopleRecord:
    presence = _presence(read.u8())
    return User(presence=presence, user=read.u16(), name=read.text(), room=read.text())


def _left(read: RecordReader) -> PeopleRecord:
    return Left(reason=_or(Leaving, read.u8(), Leaving.LEFT), user=read.u16())


def _call_action(read: RecordReader) -> PeopleRecord | None:
    act, user = _known(CallAct, read.u8()), read.u16()
    return None if act is None else CallAction(act=act, user=user)


def _call_news(read: RecordReader) -> PeopleRecord | None:
    state = _known(CallState, read.u8())
    reason = _or(CallReason, read.u8(), CallReason.NONE)
    user, name = read.u16(), read.text()
    return None if state is None else CallNews(state=state, reason=reason, user=user, name=name)


def _room_news(read: RecordReader) -> PeopleRecord | None:
    state, name = _known(RoomState, read.u8()), read.text()
    return None if state is None else RoomNews(state=state, name=name)


def _pair(read: RecordReader) -> PeopleRecord:
    user, data = read.u16(), read.rest()
    if not 1 <= len(data) <= MAX_PAIR_BYTES:
        raise ProtocolError(f"a message of {len(data)} bytes between two people")
    return Pair(user=user, data=data)


_PARSERS: dict[int, Callable[[RecordReader], PeopleRecord | None]] = {
    Enter.TYPE: _enter,
    Welcome.TYPE: _welcome,
    Denied.TYPE: _denied,
    User.TYPE: _user,
    Left.TYPE: _left,
    Listed.TYPE: lambda read: Listed(users=read.u16()),
    Appear.TYPE: lambda read: Appear(presence=_presence(read.u8())),
    Call.TYPE: lambda read: Call(name=read.text()),
    CallAction.TYPE: _call_action,
    CallNews.TYPE: _call_news,
    Room.TYPE: lambda read: Room(name=read.text()),
    RoomNews.TYPE: _room_news,
    Pair.TYPE: _pair,
}
PEOPLE_TYPES = frozenset(_PARSERS)


def pack_people(record: PeopleRecord) -> bytes:
    """The plaintext of a record about people."""
    return bytes((record.TYPE,)) + record.body()


def parse_people(plaintext: bytes) -> PeopleRecord | None:
    """Reads one whose type is among PEOPLE_TYPES; None for a state or action unknown here.

    Raises ProtocolError when the body is too short or a text in it is none.
    """
    return _PARSERS[plaintext[0]](RecordReader(plaintext))
