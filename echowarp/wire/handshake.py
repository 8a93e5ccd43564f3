"""Handshake frames: `len u16 | type u8 | body`, each of one exact length.

Source: protocol 1, section 2. Integers are big-endian and unsigned.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from echowarp.errors import ProtocolError

MAGIC = b"EWRP"
VERSION = 1
"""The only protocol version of this program, so its range is VERSION..VERSION."""

NONCE_BYTES = 16
PUBLIC_BYTES = 32
TAG_BYTES = 32
LEN_BYTES = 2


class FrameType(IntEnum):
    """The type byte of a handshake frame."""

    GREETING = 0x01
    HELLO = 0x02
    REPLY = 0x03
    CONFIRM = 0x04
    ACCEPT = 0x05
    ERROR = 0x0F


FRAME_LEN = {
    FrameType.GREETING: 23,
    FrameType.HELLO: 50,
    FrameType.REPLY: 33,
    FrameType.CONFIRM: 33,
    FrameType.ACCEPT: 33,
    FrameType.ERROR: 3,
}
"""The one `len` of each type: type byte and body, without the two bytes of len."""

_HEAD = struct.Struct(">HB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """Message 1, server to client: versions it speaks and its nonce (16 bytes)."""

    version_min: int
    version_max: int
    nonce: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Message 2, client to server: version chosen, nonce (16) and public share (32)."""

    version: int
    nonce: bytes
    public: bytes


def _frame(kind: FrameType, body: bytes) -> bytes:
    assert 1 + len(body) == FRAME_LEN[kind], "a frame of the wrong length is our own bug"
    return _HEAD.pack(FRAME_LEN[kind], kind) + body


def pack_greeting(greeting: Greeting) -> bytes:
    """Message 1 as a whole frame."""
    versions = bytes((greeting.version_min, greeting.version_max))
    return _frame(FrameType.GREETING, MAGIC + versions + greeting.nonce)


def pack_hello(hello: Hello) -> bytes:
    """Message 2 as a whole frame."""
    return _frame(FrameType.HELLO, bytes((hello.version,)) + hello.nonce + hello.public)


def pack_reply(public: bytes) -> bytes:
    """Message 3 as a whole frame; public: the server's share, 32 bytes."""
    return _frame(FrameType.REPLY, public)


def pack_confirm(tag: bytes) -> bytes:
    """Message 4 as a whole frame; tag: 32 bytes."""
    return _frame(FrameType.CONFIRM, tag)


def pack_accept(tag: bytes) -> bytes:
    """Message 5 as a whole frame; tag: 32 bytes."""
    return _frame(FrameType.ACCEPT, tag)


def pack_error(code: int) -> bytes:
    """An ERROR frame; code: u16."""
    return _frame(FrameType.ERROR, code.to_bytes(2, "big"))


def frame_type(frame: bytes) -> FrameType:
    """The type of a whole frame that `StreamBuffer` has let through."""
    return FrameType(frame[LEN_BYTES])


def frame_body(frame: bytes) -> bytes:
    """What follows the type byte."""
    return frame[LEN_BYTES + 1 :]


def parse_greeting(frame: bytes) -> Greeting:
    """Reads message 1. Raises ProtocolError when the magic or the range is wrong."""
    body = frame_body(frame)
    if body[:4] != MAGIC:
        raise ProtocolError("the other end is not an EchoWarp server")
    low, high = body[4], body[5]
    if low > high:
        raise ProtocolError("the server's version range is empty")
    return Greeting(version_min=low, version_max=high, nonce=body[6:])


def parse_hello(frame: bytes) -> Hello:
    """Reads message 2."""
    body = frame_body(frame)
    return Hello(version=body[0], nonce=body[1:17], public=body[17:])


def parse_error(frame: bytes) -> int:
    """Reads the code of an ERROR frame."""
    return int.from_bytes(frame_body(frame), "big")
