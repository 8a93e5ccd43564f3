"""Messages between the server's own processes, and the two that each of them tells."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

READ_BYTES = 1 << 16

_LENGTH = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has begun."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The process ends by an error. exit_status: as of the error tree."""

    text: str
    exit_status: int = 1


def pack(message: object) -> bytes:
    """A message as it travels between the server's own processes."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Cuts what a socket brings into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are whole now."""
        self._data += data
        at, end = 0, len(self._data)
        while end - at >= _LENGTH.size:
            body_at = at + _LENGTH.size
            (length,) = _LENGTH.unpack_from(self._data, at)
            if end - body_at < length:
                break
            at = body_at + length
            yield pickle.loads(memoryview(self._data)[body_at:at].tobytes())
        del self._data[:at]
