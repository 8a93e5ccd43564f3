"""What happens among people, as a client is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from echowarp.wire.people import User
from echowarp.wire.people_codes import CallReason, CallState, Denial, Leaving, RoomState


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """We have our name. resumed: call and room go on."""

    name: str
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """We do not get the name. suggestion: one that is free, or empty."""

    reason: Denial
    suggestion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """Somebody is there, who was not."""

    person: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Somebody else is muted, talks, or has moved; `before` as they were."""

    person: User
    before: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Went:
    """Somebody is there no more."""

    person: User
    reason: Leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChanged:
    """Our call is elsewhere now. again: it is as it was, and its other end is back."""

    state: CallState
    reason: CallReason
    name: str
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomChanged:
    """What became of our wish for a room."""

    state: RoomState
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Another client says this about the code, `user` its id."""

    user: int
    data: bytes


CompanyEvent: TypeAlias = (
    Entered | Refused | Came | Changed | Went | CallChanged | RoomChanged | Message
)
