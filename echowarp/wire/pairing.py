"""Messages between two people who prove a code to each other, `type u8 | body`.

They travel in Pair records. B is the higher user id and begins. Each type has one exact
length; an unknown one is ignored, which leaves room to grow.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from echowarp.errors import ProtocolError

NONCE_BYTES = 16
PUBLIC_BYTES = 32
TAG_BYTES = 32
SEALED_KEY_BYTES = 2 + 32 + 16
"""A record that holds a key: length, key, tag."""


class PairType(IntEnum):
    """The type byte."""

    OPEN = 1
    """B: its nonce."""
    SHARE = 2
    """A: its nonce and its public share."""
    REPLY = 3
    """B: its public share."""
    CONFIRM = 4
    """A proves the code."""
    ACCEPT = 5
    """B proves it too."""
    WRONG = 6
    """B: that was another code."""
    KEY = 7
    """Either: the sealed key of its stream."""


BODY_BYTES = {
    PairType.OPEN: NONCE_BYTES,
    PairType.SHARE: NONCE_BYTES + PUBLIC_BYTES,
    PairType.REPLY: PUBLIC_BYTES,
    PairType.CONFIRM: TAG_BYTES,
    PairType.ACCEPT: TAG_BYTES,
    PairType.WRONG: 0,
    PairType.KEY: SEALED_KEY_BYTES,
}


class PairMessage(NamedTuple):
    """One message."""

    kind: PairType
    body: bytes


def pack_pair(message: PairMessage) -> bytes:
    """The bytes of a message."""
    assert len(message.body) == BODY_BYTES[message.kind], "a wrong length is our own bug"
    return bytes((message.kind,)) + message.body


def parse_pair(data: bytes) -> PairMessage | None:
    """Reads a message; None for an unknown type. Raises ProtocolError for a wrong length."""
    if not data:
        raise ProtocolError("a message between two people without a type")
    if data[0] not in PairType._value2member_map_:
        return None
    message = PairMessage(PairType(data[0]), data[1:])
    if len(message.body) != BODY_BYTES[message.kind]:
        raise ProtocolError(f"a message of type {data[0]} of {len(data)} bytes")
    return message
