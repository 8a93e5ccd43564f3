"""Fields of variable length in records: texts travel as `length u8 | UTF-8`."""

from __future__ import annotations

from echowarp.errors import ProtocolError

MAX_TEXT_BYTES = 128


class RecordReader:
    """Takes fields off a record. Raises ProtocolError when it is too short for one."""

    def __init__(self, plaintext: bytes) -> None:
        self._data = plaintext
        self._at = 1

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise ProtocolError(f"a record of type {self._data[0]} with a short body")
        self._at += size
        return taken

    def u8(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """The next two."""
        return int.from_bytes(self.take(2), "big")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)

    def text(self) -> str:
        """The next text. Raises ProtocolError when it is longer than 128 bytes or no UTF-8."""
        size = self.u8()
        if size > MAX_TEXT_BYTES:
            raise ProtocolError(f"a text of {size} bytes")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise ProtocolError("a text that is not UTF-8") from None


def pack_text(text: str) -> bytes:
    """A text of at most 128 bytes as it travels."""
    encoded = text.encode()
    assert len(encoded) <= MAX_TEXT_BYTES, "a longer text is our own bug"
    return bytes((len(encoded),)) + encoded
