"""Control records: the plaintext of one sealed record, `type u8 | body`.

Source: protocol 1, sections 4 and 7. A record of an unknown type parses to
None, which leaves room to grow; bytes behind a known body are ignored for the
same reason; a body that is too short raises ProtocolError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from echowarp.errors import ProtocolError
from echowarp.wire.people import PEOPLE_TYPES, PeopleRecord, pack_people, parse_people

RESUME_BYTES = 16


class RecordType(IntEnum):
    """The type byte of a control record."""

    SESSION = 0x10
    PING = 0x11
    PONG = 0x12
    UDP_OK = 0x13
    CLOSE = 0x1F
    STREAM = 0x20
    ANCHOR = 0x21
    END = 0x22


class EndReason(IntEnum):
    """Why a stream ended. A number that is not here is read as STOPPED."""

    STOPPED = 0
    SOURCE_ENDED = 1
    REPLACED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The first record, server to client: audio suite, user id, resume token (16 bytes)."""

    suite: int
    user: int
    resume: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Asks for a PONG with the same u64."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """Answers a PING."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpOk:
    """The server heard our datagram `number` from our public UDP `port`."""

    number: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The sender ends the session; code: u16, see `Code`."""

    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Announces a stream: its format and its next block.

    stream: u8; codec: 0 is s16le PCM; rate: frames a second; block: frames of a
    full block; seq, time: u32 of the next block; user: who talks, 0 the server.
    """

    stream: int
    codec: int
    rate: int
    channels: int
    block: int
    seq: int
    time: int
    user: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """`captured` is the server's monotonic clock, ns, when frame `time` was captured."""

    stream: int
    time: int
    captured: int


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A stream ends before block `seq`."""

    stream: int
    seq: int
    reason: EndReason


Record: TypeAlias = Session | Ping | Pong | UdpOk | Close | Stream | Anchor | End | PeopleRecord

_SESSION = struct.Struct(f">BH{RESUME_BYTES}s")
_U64 = struct.Struct(">Q")
_UDP_OK = struct.Struct(">QH")
_CLOSE = struct.Struct(">H")
_STREAM = struct.Struct(">BBIBHIIH")
_ANCHOR = struct.Struct(">BIQ")
_END = struct.Struct(">BIB")


def pack_record(record: Record) -> bytes:
    """The plaintext of a record."""
    if isinstance(record, PeopleRecord):
        return pack_people(record)
    kind, body = _pack(record)
    return bytes((kind,)) + body


def _pack(
    record: Session | Ping | Pong | UdpOk | Close | Stream | Anchor | End,
) -> tuple[RecordType, bytes]:
    r = record
    if isinstance(r, Session):
        return RecordType.SESSION, _SESSION.pack(r.suite, r.user, r.resume)
    if isinstance(r, Ping):
        return RecordType.PING, _U64.pack(r.value)
    if isinstance(r, Pong):
        return RecordType.PONG, _U64.pack(r.value)
    if isinstance(r, UdpOk):
        return RecordType.UDP_OK, _UDP_OK.pack(r.number, r.port)
    if isinstance(r, Close):
        return RecordType.CLOSE, _CLOSE.pack(r.code)
    if isinstance(r, Stream):
        fields = (r.stream, r.codec, r.rate, r.channels, r.block, r.seq, r.time, r.user)
        return RecordType.STREAM, _STREAM.pack(*fields)
    if isinstance(r, Anchor):
        return RecordType.ANCHOR, _ANCHOR.pack(r.stream, r.time, r.captured)
    return RecordType.END, _END.pack(r.stream, r.seq, r.reason)


def parse_record(plaintext: bytes) -> Record | None:
    """Reads an opened record, or gives None for an unknown type.

    Raises ProtocolError when the body is too short.
    """
    if not plaintext:
        raise ProtocolError("a record without a type")
    if plaintext[0] in PEOPLE_TYPES:
        return parse_people(plaintext)
    try:
        return _parse(plaintext[0], plaintext)
    except struct.error:
        raise ProtocolError(f"a record of type {plaintext[0]} with a short body") from None


def _parse(kind: int, data: bytes) -> Record | None:
    if kind == RecordType.SESSION:
        suite, user, resume = _SESSION.unpack_from(data, 1)
        return Session(suite=suite, user=user, resume=resume)
    if kind == RecordType.PING:
        return Ping(value=_U64.unpack_from(data, 1)[0])
    if kind == RecordType.PONG:
        return Pong(value=_U64.unpack_from(data, 1)[0])
    if kind == RecordType.UDP_OK:
        number, port = _UDP_OK.unpack_from(data, 1)
        return UdpOk(number=number, port=port)
    if kind == RecordType.CLOSE:
        return Close(code=_CLOSE.unpack_from(data, 1)[0])
    if kind == RecordType.STREAM:
        stream, codec, rate, channels, block, seq, time, user = _STREAM.unpack_from(data, 1)
        return Stream(
            stream=stream,
            codec=codec,
            rate=rate,
            channels=channels,
            block=block,
            seq=seq,
            time=time,
            user=user,
        )
    if kind == RecordType.ANCHOR:
        stream, time, captured = _ANCHOR.unpack_from(data, 1)
        return Anchor(stream=stream, time=time, captured=captured)
    if kind == RecordType.END:
        stream, seq, reason = _END.unpack_from(data, 1)
        known = reason in EndReason._value2member_map_
        return End(stream=stream, seq=seq, reason=EndReason(reason) if known else EndReason.STOPPED)
    return None
