"""What requests and responses of HTTP/1 have in common: lines and header fields.

Source: RFC 9112, sections 2.2, 5 and 11; RFC 9110, sections 5 and 5.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from echowarp.errors import ProtocolError

MAX_FIELDS_BYTES = 16 * 1024
"""Of a header section, line ends included; as much again is granted to trailers."""
MAX_FIELDS = 64

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rf"({TOKEN}):[ \t]*([\t\x20-\x7e\x80-\xff]*)".encode("latin-1"))
_CR, _LF = b"\r", b"\n"


class HttpError(ProtocolError):
    """A message that breaks HTTP, or that is refused.

    status: what a server answers; to a client, what the server has answered, or 502 for
    an answer that is none; fields: what belongs into that answer.
    """

    def __init__(self, status: int, text: str, fields: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.fields = tuple(fields)


class Headers:
    """Header fields in their order; names in any case, values as Latin-1."""

    __slots__ = ("_by_name", "fields")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.fields = tuple(fields)
        self._by_name: dict[str, list[str]] = {}
        for name, value in self.fields:
            self._by_name.setdefault(name.lower(), []).append(value)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_name

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self.fields!r})"

    def all(self, name: str) -> list[str]:
        """The value of every line of that name."""
        return list(self._by_name.get(name.lower(), ()))

    def get(self, name: str) -> str | None:
        """The value, lines of the same name joined by commas; None without one."""
        found = self._by_name.get(name.lower())
        return None if found is None else ", ".join(found)

    def tokens(self, name: str) -> list[str]:
        """The elements of a comma-separated list, in lower case."""
        elements = ",".join(self._by_name.get(name.lower(), ())).split(",")
        return [word for element in elements if (word := element.strip(" \t").lower())]


class LineBuffer:
    """Bytes received and not yet understood."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Adds what was received."""
        self._data += data

    def take_line(self, most_bytes: int, status: int) -> bytes | None:
        """The next line without its CR LF, or None while it is incomplete.

        Raises HttpError: `status` as soon as the line is longer than `most_bytes` with
        its end, 400 for one that has a CR or LF of its own.
        """
        end = self._data.find(_LF, self._searched)
        self._searched = len(self._data)
        if (self._searched if end < 0 else end + 1) > most_bytes:
            raise HttpError(status, "a line or header that is too long")
        if end < 0:
            return None
        line = self.take(end + 1)
        if not line.endswith(b"\r\n") or line.find(_CR) != end - 1:
            raise HttpError(400, "a line that does not end with CR LF")
        return line[:-2]

    def take(self, most_bytes: int) -> bytes:
        """What there is, up to so many bytes."""
        with memoryview(self._data) as view:
            taken = bytes(view[:most_bytes])
        del self._data[: len(taken)]
        self._searched = 0
        return taken


class FieldReader:
    """Reads a header or trailer section."""

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []
        self._left_bytes = MAX_FIELDS_BYTES

    def read(self, buffer: LineBuffer) -> Headers | None:
        """The whole section, or None while it is incomplete. Raises HttpError."""
        while (line := buffer.take_line(self._left_bytes, 431)) is not None:
            if not line:
                return Headers(self._fields)
            self._left_bytes -= len(line) + 2
            if len(self._fields) == MAX_FIELDS:
                raise HttpError(431, f"more than {MAX_FIELDS} header fields")
            self._fields.append(_parse_field(line))
        return None


def _parse_field(line: bytes) -> tuple[str, str]:
    if line[0] in b" \t":
        raise HttpError(400, "a header field that is folded")
    found = _FIELD.fullmatch(line)
    if found is None:
        raise HttpError(400, "a header field that breaks the syntax")
    name, value = found.groups()
    return name.decode("ascii"), value.decode("latin-1").rstrip(" \t")
