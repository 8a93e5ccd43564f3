"""What a server's control side tells of its connections and sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from echowarp.crypto.schedule import SessionKeys
from echowarp.session.address import IpNetwork
from echowarp.wire.codes import Code
from echowarp.wire.people import PeopleRecord
from echowarp.wire.records import Anchor, End, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A session began: who, from where, its keys, and the token to come back with."""

    connection: int
    host: str
    user: int
    keys: SessionKeys
    resume: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A session ended. lost: neither side said that it is done; see Closed."""

    connection: int
    host: str
    user: int
    detail: str
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A client says something about people, or about a stream of its own."""

    connection: int
    user: int
    record: Stream | Anchor | End | PeopleRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """A connection ended before it became a session. code None: the peer left."""

    host: str
    code: Code | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongPassword:
    """A wrong guess. banned: what was banned by it, as the ban list writes it, or None."""

    host: str
    banned: IpNetwork | None


ServerEvent: TypeAlias = Joined | Left | Said | TurnedAway | WrongPassword
