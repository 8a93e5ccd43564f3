"""Frames of WebSockets: their heads, their masks, what a Close says.

Source: RFC 6455, sections 5.2, 5.3, 5.5 and 7.4.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from echowarp.errors import ProtocolError

Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_CONTROL_BYTES = 125
MASK_BYTES = 4
_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_LENGTH_16, _LENGTH_64 = 126, 127
_FIRST_CONTROL = 0x8
_IDENTITY, _ONES = int.from_bytes(range(256), "big"), int.from_bytes(b"\1" * 256, "big")
_TABLES = tuple((_IDENTITY ^ byte * _ONES).to_bytes(256, "big") for byte in range(256))
"""What each byte becomes, by the byte of the mask."""


class Opcode(IntEnum):
    """What a frame carries; from CLOSE on they are control frames."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


_OPCODES = {int(opcode): opcode for opcode in Opcode}


class CloseCode(IntEnum):
    """Why a connection ends. NO_STATUS and LOST are never sent."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL = 1002
    UNSUPPORTED = 1003
    NO_STATUS = 1005
    """The Close had no code."""
    LOST = 1006
    """There was no Close."""
    INVALID_TEXT = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_LATER = 1013


class FrameError(ProtocolError):
    """Bytes that break RFC 6455, or a message that is too big. code: what our Close says."""

    def __init__(self, text: str, code: CloseCode = CloseCode.PROTOCOL) -> None:
        super().__init__(text)
        self.code = code


class FrameHead(NamedTuple):
    """What stands before a payload. head_bytes: of the head itself; mask: empty for none."""

    final: bool
    opcode: Opcode
    payload_bytes: int
    mask: bytes
    head_bytes: int


def parse_head(data: bytearray, at: int, *, masked: bool) -> FrameHead | None:
    """Reads the frame head at `at`, None while it is incomplete. masked: as it must be.

    Raises FrameError as soon as the bytes that have come are wrong.
    """
    have = len(data) - at
    if have < 1:
        return None
    first = data[at]
    opcode = _OPCODES.get(first & _OPCODE)
    if first & _RESERVED:
        raise FrameError("a frame with a reserved bit")
    if opcode is None:
        raise FrameError(f"a frame with the reserved opcode {first & _OPCODE}")
    is_control = opcode >= _FIRST_CONTROL
    if is_control and not first & _FIN:
        raise FrameError("a control frame in fragments")
    if have < 2:
        return None
    second = data[at + 1]
    if (second >= _MASKED) is not masked:
        raise FrameError(f"a frame that is {'not ' if masked else ''}masked")
    size, mask_at = second & _LENGTH, at + 2
    if is_control and size > MAX_CONTROL_BYTES:
        raise FrameError("a control frame that is too long")
    if size >= _LENGTH_16:
        mask_at += 2 if size == _LENGTH_16 else 8
    payload_at = mask_at + MASK_BYTES if masked else mask_at
    if len(data) < payload_at:
        return None
    if size >= _LENGTH_16:
        size = _long_size(data[at + 2 : mask_at])
    mask = bytes(data[mask_at:payload_at])
    return FrameHead(first >= _FIN, opcode, size, mask, payload_at - at)


def _long_size(field: bytearray) -> int:
    size = int.from_bytes(field, "big")
    if size < _LENGTH_16 or (len(field) == 8 and size < 1 << 16):
        raise FrameError("a length in more bytes than it needs")
    if size >= 1 << 63:
        raise FrameError("a length with its highest bit set")
    return size


def pack_head(opcode: Opcode, payload_bytes: int, mask: bytes = b"") -> bytes:
    """The head of an unfragmented frame."""
    bit = _MASKED if mask else 0
    first = _FIN | opcode
    if payload_bytes < _LENGTH_16:
        return bytes((first, bit | payload_bytes)) + mask
    if payload_bytes < 1 << 16:
        return bytes((first, bit | _LENGTH_16)) + payload_bytes.to_bytes(2, "big") + mask
    return bytes((first, bit | _LENGTH_64)) + payload_bytes.to_bytes(8, "big") + mask


def pack_frame(opcode: Opcode, payload: Buffer, mask: bytes) -> bytearray:
    """An unfragmented frame of a client, masked."""
    frame = bytearray(pack_head(opcode, len(payload), mask))
    payload_at = len(frame)
    frame += payload
    apply_mask(frame, mask, payload_at)
    return frame


def apply_mask(data: bytearray, mask: bytes, at: int = 0) -> None:
    """Masks or unmasks, in place, what there is from `at` on: each byte xor one of the mask's.

    Every fourth byte has the same, so it goes through a table. As one large number the
    whole would take a third longer.
    """
    for first, byte in enumerate(mask, at):
        data[first::MASK_BYTES] = data[first::MASK_BYTES].translate(_TABLES[byte])


def pack_close(code: int | None, reason: str) -> bytes:
    """The payload of a Close; a reason is cut to what a control frame holds."""
    if code is None:
        return b""
    text = reason.encode()[: MAX_CONTROL_BYTES - 2]
    return code.to_bytes(2, "big") + text.decode("utf-8", "ignore").encode()


def parse_close(payload: bytes) -> tuple[int | None, str]:
    """Code and reason of a Close. Raises FrameError for a code that may not be sent."""
    if not payload:
        return None, ""
    if len(payload) == 1:
        raise FrameError("a Close with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise FrameError(f"a Close with the code {code}")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError("a Close that is not UTF-8", CloseCode.INVALID_TEXT) from None
