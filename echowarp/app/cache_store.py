"""The files of a cache: kept on disk up to a size and an age, the least recently used
given up first."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import BinaryIO

from echowarp.app.cache_folder import CacheFolder
from echowarp.errors import StorageError
from echowarp.wire.file_cache import Entry

log = logging.getLogger(__name__)

MAX_FILES = 10_000
"""Empty files take room as well: in the folder, in memory, in a listing."""


class CacheStore:
    """A cache in a folder. Any thread may use it.

    folder: its path, made if need be; max_bytes: of all files together, None for no end;
    ttl_s: how long a file is kept that nobody uses, seconds, None for ever; now_s: seconds
    since 1970. Raises ConfigError when the folder cannot be had, or is another server's.
    """

    def __init__(
        self,
        folder: str,
        *,
        max_bytes: int | None,
        ttl_s: float | None,
        now_s: Callable[[], float],
        max_files: int = MAX_FILES,
    ) -> None:
        self._folder = CacheFolder(folder)
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._ttl_s = ttl_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._kept_bytes = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # least recently used first
        self._used_s: dict[str, float] = {}
        self._coming: dict[str, int] = {}  # bytes so far of what is being uploaded
        self._coming_bytes = 0
        try:
            begun_s = now_s()
            for used_s, entry in self._folder.load():
                # A clock that was wrong once must not keep a file beyond its time.
                self._add(entry, min(used_s, begun_s))
            self.expire()
            with self._lock, contextlib.suppress(StorageError):
                self._make_room(0)
        except BaseException:
            self._folder.close()
            raise

    def close(self) -> None:
        """Lets the folder go. Idempotent."""
        self._folder.close()

    def begin(self, stream_id: str) -> CacheUpload:
        """Begins an upload. Raises StorageError when there is such a file, or one is coming."""
        self.expire()
        with self._lock:
            self._look_for([stream_id])
            if stream_id in self._entries:
                raise StorageError("a stream of this id exists: give another")
            if stream_id in self._coming:
                raise StorageError("a stream of this id is being uploaded: give another")
            self._make_room(0, files=1)
            self._coming[stream_id] = 0
        try:
            file, path = self._folder.create()
        except OSError as error:
            self._forget(stream_id)
            raise _storage_error(stream_id, error) from error
        return CacheUpload(self, stream_id, file, path)

    def open(self, stream_id: str) -> CacheReader | None:
        """Opens a file, which counts as its use; None where there is none.

        Raises StorageError when the disk fails.
        """
        self.expire()
        with self._lock:
            self._look_for([stream_id])
            entry = self._entries.get(stream_id)
            if entry is None:
                return None
            self._entries.move_to_end(stream_id)
            self._used_s[stream_id] = now_s = self._now_s()
            try:
                return CacheReader(entry, self._folder.open(stream_id, now_s))
            except OSError as error:
                raise _storage_error(stream_id, error) from error

    def list(self) -> list[Entry]:
        """All whole files, the newest first."""
        self.expire()
        with self._lock:
            self._look_for(tuple(self._entries))
            return sorted(self._entries.values(), key=lambda entry: -entry.time_s)

    @property
    def bytes_kept(self) -> int:
        """Of all whole files together."""
        with self._lock:
            return self._kept_bytes

    def expire(self) -> None:
        """Gives up what nobody has used for too long; also done with whatever is asked."""
        if self._ttl_s is None:
            return
        with self._lock:
            oldest_s = self._now_s() - self._ttl_s
            for entry in tuple(self._entries.values()):
                if self._used_s[entry.id] <= oldest_s:
                    self._give_up(entry, "nobody has used it for long")

    def claim(self, stream_id: str, count: int) -> None:
        """For an upload: makes room for its next `count` bytes. Raises StorageError."""
        with self._lock:
            # For every chunk: what most of them need is looked at first.
            taken = self._kept_bytes + self._coming_bytes + count
            if self._max_bytes is not None and taken > self._max_bytes:
                self._make_room(count)
            self._coming[stream_id] += count
            self._coming_bytes += count

    def keep(self, entry: Entry, file: BinaryIO, path: str) -> None:
        """For an upload: it is whole. Raises StorageError."""
        try:
            self._folder.keep(entry, file, path)
        except OSError as error:
            raise _storage_error(entry.id, error) from error
        with self._lock:
            self._coming_bytes -= self._coming.pop(entry.id)
            self._add(entry, entry.time_s)
        log.info("cached %s, %d bytes", entry.id, entry.size)

    def drop(self, stream_id: str, path: str) -> None:
        """For an upload: it is given up."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:  # the disk fails, or the system keeps what somebody has open
            log.warning("%s cannot be removed: %s", path, error.strerror)
        self._forget(stream_id)

    def new_entry(self, stream_id: str, size: int, sha256: str) -> Entry:
        """For an upload: what is known of it, with the time of now."""
        return Entry(id=stream_id, size=size, sha256=sha256, time_s=round(self._now_s(), 3))

    def _add(self, entry: Entry, used_s: float) -> None:
        self._entries[entry.id] = entry
        self._used_s[entry.id] = used_s
        self._kept_bytes += entry.size

    def _forget(self, stream_id: str) -> None:
        with self._lock:
            self._coming_bytes -= self._coming.pop(stream_id, 0)

    def _look_for(self, stream_ids: Iterable[str]) -> None:
        """Forgets those of them that somebody has removed from the folder."""
        for stream_id in stream_ids:
            entry = self._entries.get(stream_id)
            if entry is not None and not self._folder.has(stream_id):
                self._give_up(entry, "somebody has removed it")

    def _make_room(self, count: int, *, files: int = 0) -> None:
        """Gives up what was not used for longest until `count` bytes and `files` files more
        have room. Raises StorageError when they have none however much is given up."""
        coming = self._coming_bytes + count
        max_bytes = coming + self._kept_bytes if self._max_bytes is None else self._max_bytes
        if coming > max_bytes:
            raise StorageError(f"the cache has no room for this: it takes {max_bytes} bytes")
        waiting = len(self._coming) + files
        if waiting > self._max_files:
            raise StorageError("too many streams are being uploaded: try again later")

        def has_room() -> bool:
            in_number = len(self._entries) + waiting <= self._max_files
            return in_number and self._kept_bytes + coming <= max_bytes

        if has_room():
            return
        for entry in tuple(self._entries.values()):
            self._give_up(entry, "others need its room")
            if has_room():
                return
        raise StorageError("the cache has no room for this: what it has is in use")

    def _give_up(self, entry: Entry, why: str) -> None:
        try:
            self._folder.remove(entry.id)
        except OSError as error:  # some systems do not let go what somebody has open
            log.warning("%s stays cached: %s", entry.id, error.strerror)
            return
        del self._entries[entry.id], self._used_s[entry.id]
        self._kept_bytes -= entry.size
        log.info("%s is no longer cached: %s", entry.id, why)


class CacheUpload:
    """A file on its way into a store; owned by one connection."""

    def __init__(self, store: CacheStore, stream_id: str, file: BinaryIO, path: str) -> None:
        self._store = store
        self._id = stream_id
        self._file = file
        self._path = path
        self._digest = hashlib.sha256()
        self._size = 0
        self._is_over = False

    def write(self, data: bytes) -> None:
        """Takes the next bytes. Raises StorageError, after which there is no file."""
        assert not self._is_over
        try:
            self._store.claim(self._id, len(data))
            try:
                self._file.write(data)
            except OSError as error:
                raise _storage_error(self._id, error) from error
        except StorageError:
            self.abandon()
            raise
        self._digest.update(data)
        self._size += len(data)

    def finish(self) -> Entry:
        """The file is whole: when this returns it survives a crash. Raises StorageError."""
        assert not self._is_over
        entry = self._store.new_entry(self._id, self._size, self._digest.hexdigest())
        try:
            self._store.keep(entry, self._file, self._path)
        except StorageError:
            self.abandon()
            raise
        self._is_over = True
        return entry

    def abandon(self) -> None:
        """Leaves nothing. Idempotent, and without effect once finished."""
        if self._is_over:
            return
        self._is_over = True
        # What is still in memory goes the way of the rest; a full disk does not matter now.
        with contextlib.suppress(OSError):
            self._file.close()
        self._store.drop(self._id, self._path)


class CacheReader:
    """A file of a store, open; owned by one connection."""

    def __init__(self, entry: Entry, file: BinaryIO) -> None:
        self.entry = entry
        self._file = file

    @property
    def size(self) -> int:
        """Bytes that it has."""
        return self.entry.size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on, fewer only at the end. Raises StorageError."""
        try:
            self._file.seek(offset)
            data = self._file.read(min(length, max(0, self.size - offset)))
        except OSError as error:
            raise _storage_error(self.entry.id, error) from error
        if not data:
            raise StorageError("the stream cannot be read: it was cut short on the disk")
        return data

    def close(self) -> None:
        """Closes it. Idempotent."""
        self._file.close()


def _storage_error(stream_id: str, error: OSError) -> StorageError:
    """Says to the log what is wrong, and to the client as much as concerns it."""
    log.error("the cache's %s: %s", stream_id, error.strerror)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError("the server's disk is full")
    return StorageError("the server's disk fails")
