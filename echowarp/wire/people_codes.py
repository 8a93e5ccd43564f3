"""The wishes, states and reasons that records about people carry.

Each side words them for itself.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Wish(IntEnum):
    """What a client comes for. A number that is not here is read as PRESENCE."""

    PRESENCE = 0
    CALL = 1
    ROOM = 2
    LIST = 3
    """The list of users and nothing else: no name is needed."""


class Presence(IntFlag):
    """What the others see of somebody. Unknown bits are dropped."""

    MUTED = 1
    TALKING = 2
    AWAY = 4
    """Its session was lost, and it is waited for. Only the server sets it."""


class Denial(IntEnum):
    """Why a name was refused. A number that is not here is read as NOT_HERE."""

    NOT_HERE = 0
    """This server knows no names: it has neither calls nor rooms nor talkers."""
    BAD_NAME = 1
    TAKEN = 2
    LOOKS_LIKE = 3
    CROWDED = 4


class Leaving(IntEnum):
    """Why somebody left. A number that is not here is read as LEFT."""

    LEFT = 0
    LOST = 1
    RETURNED = 2
    """It is back already, under another user id."""


class CallAct(IntEnum):
    """What a client does about a call."""

    ANSWER = 1
    DECLINE = 2
    HANG_UP = 3


class CallState(IntEnum):
    """Where a call is, as one side of it is told."""

    WAITING = 0
    """The other is not there yet."""
    RINGING = 1
    """It rings at the other's."""
    INCOMING = 2
    """The other calls."""
    CONNECTED = 3
    """They hear each other; told again when one comes back from a lost session."""
    ENDED = 4
    REFUSED = 5
    """A new call was not begun; one that goes on is untouched."""


class CallReason(IntEnum):
    """Why a call ended or was refused. A number that is not here is read as NONE."""

    NONE = 0
    HUNG_UP = 1
    DECLINED = 2
    BUSY = 3
    NOT_ANSWERED = 4
    LOST = 5
    GONE = 6
    """The other left while it rang."""
    ONESELF = 7
    BAD_NAME = 8
    TOO_FAST = 9


class RoomState(IntEnum):
    """What became of a wish for a room."""

    JOINED = 0
    LEFT = 1
    FULL = 2
    BAD_NAME = 3
    LOOKS_LIKE = 4
    """Another room looks like it; the name told is that one's."""
    TOO_FAST = 5
