"""The content of a message of HTTP/1, by each way that its end is marked.

Source: RFC 9112, sections 6 and 7. Chunk extensions and trailer fields are read by the
book and forgotten.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Protocol

from echowarp.wire.http_fields import TOKEN, FieldReader, Headers, HttpError, LineBuffer

MAX_LENGTH_DIGITS = 15
MAX_CHUNK_LINE_BYTES = 256
MAX_CHUNK_OVERHEAD_BYTES = 16 * 1024
"""Of all the extensions in a message."""

_LENGTH = re.compile(rf"[0-9]{{1,{MAX_LENGTH_DIGITS}}}")
_QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION = rf"[ \t]*;[ \t]*{TOKEN}(?:[ \t]*=[ \t]*(?:{TOKEN}|{_QUOTED}))?"
_CHUNK = re.compile(rf"([0-9A-Fa-f]{{1,12}})((?:{_EXTENSION})*)".encode("latin-1"))


class Body(Protocol):
    """Takes its own bytes off a buffer and leaves what follows."""

    @property
    def complete(self) -> bool:
        """Whether all of it has been read."""

    def read(self, buffer: LineBuffer) -> bytes:
        """What has come of the content. Raises HttpError."""


class SizedBody:
    """Content of so many bytes."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._left_bytes = size_bytes

    @property
    def complete(self) -> bool:
        """Whether all of it has been read."""
        return self._left_bytes == 0

    def read(self, buffer: LineBuffer) -> bytes:
        """What has come of the content."""
        taken = buffer.take(self._left_bytes)
        self._left_bytes -= len(taken)
        return taken


class EndlessBody:
    """Content that lasts until the connection ends, at most `max_bytes` of it."""

    def __init__(self, max_bytes: int) -> None:
        self.complete = False
        self._room_bytes = max_bytes

    def read(self, buffer: LineBuffer) -> bytes:
        """What has come of the content. Raises HttpError 413 when it is too much."""
        taken = buffer.take(len(buffer))
        self._room_bytes -= len(taken)
        if self._room_bytes < 0:
            raise HttpError(413, "content that is too large")
        return taken


class _Step(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()
    DONE = auto()


_STEPS = {
    _Step.SIZE: {_Step.DATA, _Step.TRAILERS},
    _Step.DATA: {_Step.DATA_END},
    _Step.DATA_END: {_Step.SIZE},
    _Step.TRAILERS: {_Step.DONE},
    _Step.DONE: set[_Step](),
}


class ChunkedBody:
    """Content in chunks, at most `max_bytes` of it."""

    def __init__(self, max_bytes: int) -> None:
        self._step = _Step.SIZE
        self._room_bytes = max_bytes
        self._overhead_bytes = MAX_CHUNK_OVERHEAD_BYTES
        self._left_bytes = 0
        self._trailers = FieldReader()

    @property
    def complete(self) -> bool:
        """Whether all of it has been read."""
        return self._step is _Step.DONE

    def read(self, buffer: LineBuffer) -> bytes:
        """What has come of the content. Raises HttpError: 413 when it is too much."""
        content = bytearray()
        while not self.complete:
            step = self._step
            if step is _Step.DATA:
                content += self._read_data(buffer)
            elif step is _Step.TRAILERS:
                if self._trailers.read(buffer) is not None:
                    self._to(_Step.DONE)
            else:
                self._read_line(buffer)
            if self._step is step:
                break
        return bytes(content)

    def _read_data(self, buffer: LineBuffer) -> bytes:
        taken = buffer.take(self._left_bytes)
        self._left_bytes -= len(taken)
        if self._left_bytes == 0:
            self._to(_Step.DATA_END)
        return taken

    def _read_line(self, buffer: LineBuffer) -> None:
        most_bytes = MAX_CHUNK_LINE_BYTES if self._step is _Step.SIZE else 2
        line = buffer.take_line(most_bytes, 400)
        if line is None:
            return
        if self._step is _Step.DATA_END:
            self._to(_Step.SIZE)
            return
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise HttpError(400, "a chunk whose size breaks the syntax")
        digits, extension = found.groups()
        self._overhead_bytes -= len(extension)
        if self._overhead_bytes < 0:
            raise HttpError(400, "too many chunk extensions")
        size_bytes = int(digits, 16)
        if size_bytes > self._room_bytes:
            raise HttpError(413, "content that is too large")
        self._room_bytes -= size_bytes
        self._left_bytes = size_bytes
        self._to(_Step.DATA if size_bytes else _Step.TRAILERS)

    def _to(self, step: _Step) -> None:
        assert step in _STEPS[self._step], f"{self._step} -> {step}"
        self._step = step


def framed_body(headers: Headers, *, minor: int, max_bytes: int) -> Body | None:
    """The body that header fields announce, None when they announce none.

    minor: of the version HTTP/1.x. Raises HttpError for whatever two readers could
    understand in two ways, 413 when it is longer than max_bytes, 501 for a coding that
    is not known.
    """
    lengths, codings = headers.all("Content-Length"), headers.tokens("Transfer-Encoding")
    if "Transfer-Encoding" in headers:
        if lengths:
            raise HttpError(400, "both Content-Length and Transfer-Encoding")
        if minor == 0:
            raise HttpError(400, "Transfer-Encoding in HTTP/1.0")
        if codings.count("chunked") != 1 or codings[-1] != "chunked":
            raise HttpError(400, "a Transfer-Encoding that does not end with one chunked")
        if len(codings) > 1:
            raise HttpError(501, "a transfer coding other than chunked")
        return ChunkedBody(max_bytes)
    if not lengths:
        return None
    if len(lengths) > 1:
        raise HttpError(400, "more than one Content-Length")
    if not _LENGTH.fullmatch(lengths[0]):
        raise HttpError(400, "a Content-Length that is no number")
    if int(lengths[0]) > max_bytes:
        raise HttpError(413, "content that is too large")
    return SizedBody(int(lengths[0]))
