"""The folder that a cache keeps its files in.

Each file is two: NAME.data, its bytes, and NAME.json, its id, size, digest and time. The
first is put in place last and taken away first, so there is a file exactly while it is
there. NAME is made from the id by a hash, as some systems take `A` and `a`, or `con`, for
one name. While a server uses the folder it holds a lock in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import IO, BinaryIO

from echowarp.errors import ConfigError, ProtocolError
from echowarp.wire.file_cache import Entry, is_id, pack_entry, parse_entry

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DATA, FACTS, PART = ".data", ".json", ".part"
_OURS = re.compile(r"[0-9a-f]{32}\.(data|json)|upload-.*\.part")
_LOCK = "lock"
MAX_FACTS_BYTES = 4096
BUFFER_BYTES = 1 << 16
"""Chunks are small, and a system call for each would cost as much as all the rest."""


def default_cache_dir() -> str:
    """The folder of the user's cache that is meant for this, where no other is named."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        named = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(named) if os.path.isabs(named) else home / ".cache"
    return str(base / "echowarp" / "files")


def cached_path(folder: str, stream_id: str) -> str:
    """The path of the bytes of a file in a cache's folder, whether a server uses that now
    or not. Raises ConfigError where there is none."""
    path = os.path.join(folder, _name(stream_id) + DATA)
    if not is_id(stream_id) or not os.path.isfile(path):
        raise ConfigError(f"there is no {stream_id!r} in the cache ({folder})")
    return path


def _name(stream_id: str) -> str:
    return hashlib.sha256(stream_id.encode("utf-8", "backslashreplace")).hexdigest()[:32]


class CacheFolder:
    """The folder, made if need be, and locked. Raises ConfigError."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            self._lock = open(self._in(_LOCK), "ab")  # noqa: SIM115
        except OSError as error:
            raise ConfigError(f"the cache {path} cannot be used: {error.strerror}") from error
        try:
            lock(self._lock)
        except OSError as error:
            self._lock.close()
            raise ConfigError(
                f"the cache {path} is used by another server: name another folder"
            ) from error

    def close(self) -> None:
        """Lets another server use it. Idempotent."""
        self._lock.close()

    def load(self) -> list[tuple[float, Entry]]:
        """All whole files with when they were used last (seconds since 1970), in the order
        of that. What is no whole file is removed: a server before may have ended in the
        middle of anything.

        Raises ConfigError when the folder cannot be read.
        """
        try:
            names = {each.name for each in os.scandir(self.path) if _OURS.fullmatch(each.name)}
            found: dict[str, tuple[float, Entry]] = {}
            for name in names:
                stem, extension = os.path.splitext(name)
                entry = self._entry(stem) if extension == FACTS else None
                if entry is not None:
                    found[stem] = (os.stat(self._in(name)).st_mtime, entry)
            for name in names:
                if os.path.splitext(name)[0] not in found:
                    os.unlink(self._in(name))
        except OSError as error:
            raise ConfigError(f"the cache {self.path} cannot be used: {error.strerror}") from error
        return sorted(found.values(), key=lambda each: each[0])

    def _entry(self, name: str) -> Entry | None:
        try:
            with open(self._in(name + FACTS), "rb") as file:
                entry = parse_entry(file.read(MAX_FACTS_BYTES).decode("utf-8"))
            size = os.stat(self._in(name + DATA)).st_size
        except (FileNotFoundError, UnicodeDecodeError, ProtocolError):
            return None
        return entry if _name(entry.id) == name and entry.size == size else None

    def create(self) -> tuple[BinaryIO, str]:
        """A new file for an upload, and its path. Raises OSError."""
        return self._temporary()

    def keep(self, entry: Entry, file: BinaryIO, path: str) -> None:
        """Puts a file in place, for good once this returns. Raises OSError, after which
        it is still at `path`."""
        file.flush()
        os.fsync(file.fileno())
        file.close()
        facts, facts_path = self._temporary()
        try:
            with facts:
                facts.write(pack_entry(entry).encode())
                facts.flush()
                os.fsync(facts.fileno())
            os.utime(facts_path, (entry.time_s, entry.time_s))
            os.replace(facts_path, self._in(_name(entry.id) + FACTS))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(facts_path)
            raise
        os.replace(path, self._in(_name(entry.id) + DATA))
        self._sync()

    def open(self, stream_id: str, now_s: float) -> BinaryIO:
        """The bytes of a file, which is used now. Raises OSError."""
        opened = open(self._in(_name(stream_id) + DATA), "rb", buffering=0)  # noqa: SIM115
        with contextlib.suppress(OSError):
            os.utime(self._in(_name(stream_id) + FACTS), (now_s, now_s))
        return opened

    def remove(self, stream_id: str) -> None:
        """Takes away what there is of a file; who has it open keeps it. Raises OSError."""
        for extension in (DATA, FACTS):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._in(_name(stream_id) + extension))

    def has(self, stream_id: str) -> bool:
        """Whether the bytes of a file are still there: the folder is the user's own."""
        return os.path.isfile(self._in(_name(stream_id) + DATA))

    def _in(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _temporary(self) -> tuple[BinaryIO, str]:
        handle, path = tempfile.mkstemp(prefix="upload-", suffix=PART, dir=self.path)
        return os.fdopen(handle, "wb", BUFFER_BYTES), path

    def _sync(self) -> None:
        """Makes the disk know the names, where a folder can be asked for that."""
        if sys.platform == "win32":
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def lock(file: IO[bytes]) -> None:
    """Until it is closed the file is this process's. Raises OSError where it is another's."""
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
