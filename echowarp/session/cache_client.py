"""The client's end of the file cache: what is asked, and what is made of the answers.

A connection does one task at a time: a listing, an upload or a download. Each is told of
the frames that come, gives those that go, and is done when nothing is open any more.
Types go out in capitals, which every server knows, and are read in any case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from typing import Protocol

from echowarp.errors import ProtocolError, RefusedError
from echowarp.wire.file_cache import (
    CHUNK_BYTES,
    ERROR,
    GET,
    LIST,
    LISTED,
    PIECE_BYTES,
    START,
    STARTED,
    STOP,
    STOPPED,
    Case,
    Entry,
    Message,
    pack_message,
    parse_message,
)

CHUNKS_AT_ONCE = 32
"""In one call of `to_send`: fewer calls, little memory."""
MAX_ASKED_BYTES = 1 << 20
MAX_ASKED = 64
"""A download asks ahead for so much: more than is under way on any usual path."""


class Task(Protocol):
    """One of the things below."""

    @property
    def done(self) -> bool:
        """Whether all that was asked has been answered, and nothing is left to ask."""

    def to_send(self) -> list[str | bytes]:
        """The next frames, some 256 KiB at most; [] when it is the server's turn."""

    def text(self, message: str) -> None:
        """A text frame has come. Raises RefusedError and ProtocolError."""

    def binary(self, data: bytes) -> None:
        """A binary frame has come. Raises ProtocolError."""


def _unasked(what: str) -> ProtocolError:
    return ProtocolError(f"the server sends {what} that was not asked for")


def _ask(kind: str, stream_id: str | None = None, at: tuple[int, int] | None = None) -> str:
    offset, length = at or (None, None)
    question = Message(
        type=kind, case=Case.CAPITALS, stream_id=stream_id, offset=offset, length=length
    )
    return pack_message(question)


def _refusal(answer: Message, what: str) -> RefusedError:
    said = " ".join(answer.message.split())
    return RefusedError(f"{what}: the server says: {said}" if said else f"{what}: the server")


class Listing:
    """Asks what the server has. entries: None where it cannot tell."""

    def __init__(self) -> None:
        self.entries: tuple[Entry, ...] | None = None
        self.done = False
        self._is_asked = False

    def to_send(self) -> list[str | bytes]:
        """As of a Task."""
        if self._is_asked:
            return []
        self._is_asked = True
        return [_ask(LIST)]

    def text(self, message: str) -> None:
        """As of a Task."""
        answer = parse_message(message)
        if answer.type not in (LISTED, ERROR):
            raise _unasked(f"{answer.type!r}")
        self.entries = answer.streams
        self.done = True

    def binary(self, data: bytes) -> None:
        """As of a Task."""
        raise _unasked("bytes")


class _Stage(Enum):
    IDLE = auto()
    STARTING = auto()
    SENDING = auto()
    STOPPING = auto()
    DONE = auto()


_NEXT = {
    _Stage.IDLE: _Stage.STARTING,
    _Stage.STARTING: _Stage.SENDING,
    _Stage.SENDING: _Stage.STOPPING,
    _Stage.STOPPING: _Stage.DONE,
}


class Upload:
    """Sends a file. chunks: its bytes, 8 KiB each but for the last, read as they are sent.

    sent_bytes: how many have been given away.
    """

    def __init__(self, stream_id: str, chunks: Iterator[bytes]) -> None:
        self._id = stream_id
        self._chunks = chunks
        self._stage = _Stage.IDLE
        self.sent_bytes = 0

    @property
    def done(self) -> bool:
        """As of a Task."""
        return self._stage is _Stage.DONE

    def to_send(self) -> list[str | bytes]:
        """As of a Task."""
        if self._stage is _Stage.IDLE:
            self._stage = _NEXT[self._stage]
            return [_ask(START, self._id)]
        frames: list[str | bytes] = []
        while self._stage is _Stage.SENDING and len(frames) < CHUNKS_AT_ONCE:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._stage = _NEXT[self._stage]
                frames.append(_ask(STOP, self._id))
            else:
                self.sent_bytes += len(chunk)
                frames.append(chunk)
        return frames

    def text(self, message: str) -> None:
        """As of a Task."""
        answer = parse_message(message)
        if answer.type == ERROR:
            raise _refusal(answer, f"{self._id} is not taken")
        expected = {_Stage.STARTING: STARTED, _Stage.STOPPING: STOPPED}.get(self._stage)
        if answer.type != expected:
            raise _unasked(f"{answer.type!r}")
        self._stage = _NEXT[self._stage]

    def binary(self, data: bytes) -> None:
        """As of a Task."""
        raise _unasked("bytes")


class Download:
    """Fetches a file, or what is left of it, in order.

    offset: where it begins; size: of the whole file, None where it is unknown: then it
    reads until the server says that there is no more. max_asked: pieces that may be asked
    for ahead. Servers answer with as much as they like at once: one answer is awaited
    first, what a server gives at most is learned from it, and as many are asked for ahead
    as come whole. A short answer means nothing but that the rest is to be asked for again.

    position: where the next byte goes; end_words: what the server said where the file
    ended, None while it has not and where its size was known.
    """

    def __init__(
        self, stream_id: str, *, offset: int = 0, size: int | None, max_asked: int = MAX_ASKED
    ) -> None:
        self._id = stream_id
        self._size = size
        self._max_asked = max_asked
        self._length = PIECE_BYTES
        self._window = 1
        self._asked: deque[tuple[int, int]] = deque()
        self._next = offset
        self._ended = False
        self._pieces: list[bytes] = []
        self.position = offset
        self.end_words: str | None = None

    @property
    def done(self) -> bool:
        """As of a Task."""
        return not self._asked and not self._wants_more

    @property
    def _wants_more(self) -> bool:
        return not self._ended and (self._size is None or self._next < self._size)

    def stop(self) -> None:
        """Asks for nothing more; what is on its way is awaited and thrown away."""
        self._ended = True
        self._pieces.clear()

    def pieces(self) -> list[bytes]:
        """Drains what has come, in the file's order."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def to_send(self) -> list[str | bytes]:
        """As of a Task."""
        frames: list[str | bytes] = []
        while self._wants_more and len(self._asked) < self._window:
            self._asked.append((self._next, self._length))
            frames.append(_ask(GET, self._id, self._asked[-1]))
            self._next += self._length
        return frames

    def binary(self, data: bytes) -> None:
        """As of a Task."""
        if not self._asked:
            raise _unasked("bytes")
        offset, length = self._asked.popleft()
        if len(data) > length:
            raise _unasked("more")
        if offset != self.position or self._ended:
            return  # asked for before it was known how much comes at once
        if not data:
            self._end(Message(type=ERROR, message="an empty answer"))
            return
        self._pieces.append(data)
        self.position += len(data)
        if len(data) < length and self.position != self._size:
            self._length = max(len(data), CHUNK_BYTES)
            self._window = 1
            self._next = self.position
        else:
            ahead = min(self._max_asked, MAX_ASKED_BYTES // self._length)
            self._window = min(2 * self._window, ahead)

    def text(self, message: str) -> None:
        """As of a Task."""
        answer = parse_message(message)
        if answer.type != ERROR or not self._asked:
            raise _unasked(f"{answer.type!r}")
        offset, _ = self._asked.popleft()
        if offset == self.position and not self._ended:
            self._end(answer)

    def _end(self, answer: Message) -> None:
        """The server says that nothing is there. Raises RefusedError where that cannot be."""
        if self._size is not None and self.position < self._size:
            raise _refusal(answer, f"{self._id} ends at {self.position} of {self._size} bytes")
        if self.position == 0:
            raise _refusal(answer, f"{self._id} cannot be had, or is empty")
        self._ended = True
        self.end_words = answer.message
