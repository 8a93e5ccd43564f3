"""Cuts the byte stream of a TCP connection into frames and records.

Lengths are checked before anything else is read; what arrives after a frame is
kept, for TCP has no message borders.
"""

from __future__ import annotations

from echowarp.errors import ProtocolError
from echowarp.wire.handshake import FRAME_LEN, LEN_BYTES, FrameType

RECORD_MIN_LEN = 17
RECORD_MAX_LEN = 1040
"""`len` of a record: 1..1024 bytes of plaintext and a 16-byte tag."""


class StreamBuffer:
    """Bytes received and not yet understood."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Adds what was received."""
        self._data += data

    def take_frame(self, expected: FrameType) -> bytes | None:
        """The next handshake frame, whole, or None while it is incomplete.

        It is of the expected type or an ERROR. Raises ProtocolError as soon as
        its length or its type is neither's, so what waits here between two calls
        is less than one frame.
        """
        data = self._data
        if len(data) < LEN_BYTES:
            return None
        length = int.from_bytes(data[:LEN_BYTES], "big")
        allowed = [kind for kind in (expected, FrameType.ERROR) if FRAME_LEN[kind] == length]
        if not allowed:
            raise ProtocolError(f"a handshake frame of length {length} where none is due")
        if len(data) > LEN_BYTES and data[LEN_BYTES] not in allowed:
            raise ProtocolError(f"a handshake frame of type {data[LEN_BYTES]} out of turn")
        return self._take(LEN_BYTES + length)

    def take_record(self) -> bytes | None:
        """The next sealed record, its two length bytes included, or None while incomplete.

        Raises ProtocolError as soon as its length is outside 17..1040.
        """
        if len(self._data) < LEN_BYTES:
            return None
        length = int.from_bytes(self._data[:LEN_BYTES], "big")
        if not RECORD_MIN_LEN <= length <= RECORD_MAX_LEN:
            raise ProtocolError(f"a record of length {length}")
        return self._take(LEN_BYTES + length)

    def _take(self, size_bytes: int) -> bytes | None:
        if len(self._data) < size_bytes:
            return None
        taken = bytes(self._data[:size_bytes])
        del self._data[:size_bytes]
        return taken
