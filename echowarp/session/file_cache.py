"""The server's end of the file cache, for one connection: what is answered to what.

Answers go out in the order of the questions. What a `get` asks for is read when there is
room to send it, so however many of them a client sends ahead, little is in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from echowarp.errors import ProtocolError, StorageError
from echowarp.wire.file_cache import (
    ERROR,
    GET,
    ID_RULE,
    LIST,
    LISTED,
    MAX_GET_BYTES,
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

MAX_UPLOADS = 16
"""That one connection may have begun and not ended."""
MAX_WAITING = 64
"""Answers that may wait before nothing more is read."""
SENT_AT_ONCE_BYTES = 1 << 18
"""About what one call of `to_send` gives: some pieces, so that calls are few."""


class Upload(Protocol):
    """A file that comes."""

    def write(self, data: bytes) -> None:
        """Takes the next bytes. Raises StorageError, after which there is no file."""

    def finish(self) -> Entry:
        """The file is whole, and is kept from now on. Raises StorageError as `write` does."""

    def abandon(self) -> None:
        """It is not wanted. Idempotent, and without effect once finished."""


class Reader(Protocol):
    """A file that is read; it stays readable when the store lets it go meanwhile."""

    @property
    def size(self) -> int:
        """Bytes that it has."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, fewer only at the end. Raises StorageError."""

    def close(self) -> None:
        """Is read no more. Idempotent."""


class Store(Protocol):
    """Where the files are. The texts of its errors are for whoever asked."""

    def begin(self, stream_id: str) -> Upload:
        """Begins a file. Raises StorageError when there is one of that id."""

    def open(self, stream_id: str) -> Reader | None:
        """Opens a file; None where there is none. Raises StorageError."""

    def list(self) -> Sequence[Entry]:
        """All whole files."""


class CacheConnection:
    """One client: give it what comes, send what it gives, and tell it of the end.

    The owner calls `to_send` whenever it has room for more, until that gives nothing; and
    while `paused` it takes nothing more from the client.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._case = Case.SMALL
        self._uploads: dict[str, Upload | None] = {}  # None: it failed, which was said
        self._current: str | None = None
        self._waiting: deque[Message] = deque()
        self._reader: tuple[str, Reader] | None = None
        self._handlers: dict[str, Callable[[Message], None]] = {
            START: self._start,
            STOP: self._stop,
            GET: self._waiting.append,
            LIST: self._waiting.append,
        }

    @property
    def paused(self) -> bool:
        """Whether so many answers wait that nothing more should be read."""
        return len(self._waiting) >= MAX_WAITING

    def text(self, message: str) -> None:
        """A text frame has come."""
        try:
            asked = parse_message(message)
        except ProtocolError as error:
            self._fail(str(error))
            return
        self._case = asked.case
        handler = self._handlers.get(asked.type)
        if handler is None:
            self._fail("this type is unknown; there are start, stop, get and list")
        elif asked.stream_id is None and asked.type != LIST:
            self._fail(f"streamId is missing, or none that may be: {ID_RULE}")
        else:
            handler(asked)

    def binary(self, data: bytes) -> None:
        """A binary frame has come: a chunk of the stream that was started last."""
        if self._current is None:
            self._fail("no stream is started that these bytes could belong to")
            return
        upload = self._uploads[self._current]
        if upload is None:
            return
        try:
            upload.write(data)
        except StorageError as error:
            self._uploads[self._current] = None
            self._fail(str(error), self._current)

    def closed(self) -> None:
        """The connection has ended; of what was not stopped nothing stays. Idempotent."""
        for upload in self._uploads.values():
            if upload is not None:
                upload.abandon()
        self._uploads.clear()
        self._current = None
        self._waiting.clear()
        self._close_reader()

    def to_send(self) -> list[str | bytes]:
        """The next answers, some 256 KiB of them: text and binary frames. [] when all is sent."""
        frames: list[str | bytes] = []
        room = SENT_AT_ONCE_BYTES
        while self._waiting and room > 0:
            frame = self._answer(self._waiting.popleft())
            frames.append(frame)
            room -= len(frame)
        return frames

    def _start(self, asked: Message) -> None:
        stream_id = asked.stream_id
        assert stream_id is not None
        if len(self._uploads) >= MAX_UPLOADS:
            self._fail(f"{MAX_UPLOADS} streams are started already: stop one", stream_id)
            return
        try:
            self._uploads[stream_id] = self._store.begin(stream_id)
        except StorageError as error:
            self._fail(str(error), stream_id)
            return
        self._current = stream_id
        self._say(STARTED, "send its bytes, then stop", stream_id)

    def _stop(self, asked: Message) -> None:
        stream_id = asked.stream_id
        assert stream_id is not None
        if stream_id not in self._uploads:
            self._fail("this stream is not started on this connection", stream_id)
            return
        upload = self._uploads.pop(stream_id)
        if self._current == stream_id:
            self._current = None
        if upload is None:
            self._fail("this stream is not kept, for the reason that was given", stream_id)
            return
        try:
            entry = upload.finish()
        except StorageError as error:
            self._fail(str(error), stream_id)
            return
        self._say(STOPPED, f"{entry.size} bytes, SHA-256 {entry.sha256}", stream_id)

    def _say(self, kind: str, text: str, stream_id: str | None = None) -> None:
        self._waiting.append(Message(type=kind, case=self._case, stream_id=stream_id, message=text))

    def _fail(self, text: str, stream_id: str | None = None) -> None:
        self._say(ERROR, text, stream_id)

    def _answer(self, waiting: Message) -> str | bytes:
        """What is said in answer: `waiting` is a question that is open, or an answer."""
        try:
            if waiting.type == GET:
                return self._piece(waiting)
            if waiting.type == LIST:
                streams = tuple(self._store.list())
                return pack_message(Message(type=LISTED, case=waiting.case, streams=streams))
        except StorageError as error:
            waiting = Message(
                type=ERROR, case=waiting.case, stream_id=waiting.stream_id, message=str(error)
            )
        return pack_message(waiting)

    def _piece(self, asked: Message) -> bytes:
        """The bytes that are asked for. Raises StorageError where there are none."""
        stream_id, offset, length = asked.stream_id, asked.offset, asked.length
        assert stream_id is not None
        if offset is None or not length:
            raise StorageError("a range needs an offset from 0 on and a length from 1 on")
        if length > MAX_GET_BYTES:
            raise StorageError(f"at most {MAX_GET_BYTES} bytes are given at once")
        reader = self._open(stream_id, offset)
        if offset >= reader.size:
            raise StorageError(f"the stream ends at {reader.size}")
        return reader.read(offset, length)

    def _open(self, stream_id: str, offset: int) -> Reader:
        # A download that begins gets the file of that id as it is now; one that goes on
        # stays with its own, which the store may have let go since.
        if self._reader is not None and self._reader[0] == stream_id and offset:
            return self._reader[1]
        self._close_reader()
        reader = self._store.open(stream_id)
        if reader is None:
            raise StorageError("there is no such stream")
        self._reader = (stream_id, reader)
        return reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader[1].close()
            self._reader = None
