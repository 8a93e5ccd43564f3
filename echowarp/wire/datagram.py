"""The envelope of every UDP datagram, and the media bodies in it.

Source: protocol 1, sections 5 and 7. 18 bytes of header, an opaque body, a tag
of 0 or 16 bytes; at most 1232 bytes in all, so no packet is ever a fragment.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from echowarp.errors import ProtocolError

HEADER_BYTES = 18
SESSION_BYTES = 8
TAG_BYTES = 16
MAX_DATAGRAM_BYTES = 1232
"""IPv6 guarantees 1280 bytes to every path; its and UDP's headers take 48."""

_HEADER = struct.Struct(f">BB{SESSION_BYTES}sQ")
_BLOCK = struct.Struct(">II")
BLOCK_HEAD_BYTES = _BLOCK.size
CLIENT_BIT = 0x40
"""Of the type: set from client to server, where the rest says what it is."""


class DatagramType(IntEnum):
    """The type byte. Bit 0x40 is the direction: set from client to server."""

    BLOCK = 0x01
    RESEND = 0x02
    REPAIR = 0x03
    CLOCK_ANSWER = 0x12
    PROBE = 0x40
    REQUEST = 0x50
    REPORT = 0x51
    CLOCK_ASK = 0x52


# Made by `tuple.__new__`, which all that a named tuple has of its own comes down to.


class Header(NamedTuple):
    """The envelope of one datagram; number counts datagrams of its session and direction."""

    kind: int
    stream: int
    session: bytes
    number: int


class BlockBody(NamedTuple):
    """The body of a BLOCK: its sequence number, its time in frames (both u32), its payload."""

    seq: int
    time: int
    payload: bytes


pack_header: Callable[[int, int, bytes, int], bytes] = _HEADER.pack
"""The 18 bytes that begin a datagram, of kind, stream, session and number."""


pack_block_head: Callable[[int, int], bytes] = _BLOCK.pack
"""The 8 bytes that begin the body of a BLOCK, of seq and time wrapped to u32."""


def parse_header(datagram: bytes) -> Header:
    """Reads the envelope. Raises ProtocolError when the length is impossible."""
    if not HEADER_BYTES <= len(datagram) <= MAX_DATAGRAM_BYTES:
        raise ProtocolError(f"a datagram of {len(datagram)} bytes")
    return tuple.__new__(Header, _HEADER.unpack_from(datagram))


def pack_block(seq: int, time: int, payload: bytes) -> bytes:
    """The body of a BLOCK; seq and time already wrapped to u32."""
    return _BLOCK.pack(seq, time) + payload


def parse_block(body: bytes) -> BlockBody:
    """Reads the body of a BLOCK. Raises ProtocolError when it is too short."""
    if len(body) < BLOCK_HEAD_BYTES:
        raise ProtocolError(f"a block of {len(body)} bytes")
    return tuple.__new__(BlockBody, (*_BLOCK.unpack_from(body), body[BLOCK_HEAD_BYTES:]))
