"""Recordings: WAV files that are valid at every second of their making."""

from __future__ import annotations

import os
import stat
import struct
from io import FileIO

from echowarp.errors import ConfigError, StorageError
from echowarp.media.format import Format

RIFF_MAX_BYTES = 0xFFFFFFFF
"""What the 32-bit sizes of RIFF hold; beyond it the file becomes RF64 (EBU Tech 3306)."""

_HEADER_BYTES = 80
_RIFF_START_BYTES = 8
_SAMPLE_BITS = 16


def check_writable(path: str, overwrite: bool) -> None:
    """Makes sure, before any connection is made, that a recording can be begun.

    Leaves no file and changes none. Raises ConfigError: the file exists (and
    `overwrite` is False), is a folder, its folder is missing or not writable.
    """
    existed = os.path.lexists(path)
    _create(path, overwrite, keep=True).close()
    if not existed:
        os.unlink(path)


def next_name(path: str, n: int) -> str:
    """The name of the n-th file of a recording: `name.wav`, 2 -> `name-2.wav`."""
    stem, extension = os.path.splitext(path)
    return f"{stem}-{n}{extension}"


def _create(path: str, overwrite: bool, *, keep: bool) -> FileIO:
    """Opens `path` for writing, new or (`overwrite`) emptied unless `keep`."""
    folder = os.path.dirname(path) or "."
    try:
        if os.path.lexists(path):
            # Opening a named pipe would wait for its reader.
            mode = os.stat(path).st_mode
            if stat.S_ISDIR(mode):
                raise ConfigError(f"{path}: is a folder, not a file to record to")
            if not overwrite:
                raise ConfigError(f"{path}: exists already; --overwrite allows to replace it")
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
                raise ConfigError(f"{path}: is not a regular file; to write to a pipe use '-'")
            return FileIO(path, "r+" if keep else "w")
        if not os.path.isdir(folder):
            raise ConfigError(f"{path}: there is no folder {folder}")
        return FileIO(path, "x")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot be written: {reason}") from error


class WavSink:
    """Records s16le to a WAV file, written through at once, its header each second.

    path: the file; overwrite: whether an existing one may be replaced;
    riff_max_bytes: size from which on the file is RF64. Raises ConfigError when it
    cannot be created, StorageError when there is not even room for the header.
    """

    def __init__(
        self, path: str, format: Format, *, overwrite: bool, riff_max_bytes: int = RIFF_MAX_BYTES
    ) -> None:
        self._path = path
        self._format = format
        self._riff_max_bytes = riff_max_bytes
        self._file = _create(path, overwrite, keep=False)
        self._data_bytes = 0
        self._header_bytes = 0
        self._failed = False
        try:
            self._update_header()
        except OSError as error:
            self._file.close()
            if not overwrite:
                os.unlink(path)  # it is ours, and not even a header
            raise self._storage_error(error) from error

    def write(self, pcm: bytes) -> None:
        """Takes whole frames. Raises StorageError; what fitted stays a valid file."""
        if self._failed:
            raise StorageError(f"{self._path}: the recording has already stopped")
        try:
            self._append(pcm)
            if self._data_bytes - self._header_bytes >= self._format.rate * self._frame_bytes:
                self._update_header()
        except OSError as error:
            self._give_up()
            raise self._storage_error(error) from error

    def close(self) -> None:
        """Completes the file. Idempotent. Raises StorageError."""
        if self._file.closed:
            return
        try:
            if not self._failed:
                self._update_header()
        except OSError as error:
            raise self._storage_error(error) from error
        finally:
            self._file.close()

    @property
    def _frame_bytes(self) -> int:
        return self._format.frame_bytes

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self._file.write(view) or 0
            self._data_bytes += written
            view = view[written:]

    def _give_up(self) -> None:
        """After a failed write: cuts off the part of a frame and completes the header."""
        self._failed = True
        self._data_bytes -= self._data_bytes % self._frame_bytes
        try:
            self._file.truncate(_HEADER_BYTES + self._data_bytes)
            self._update_header()
        except OSError:
            pass  # the header of the last second stays, and the caller is told why

    def _update_header(self) -> None:
        """Writes the header for what is there and returns to the end."""
        self._file.seek(0)
        view = memoryview(self._header())
        while view:
            view = view[self._file.write(view) or 0 :]
        self._file.seek(_HEADER_BYTES + self._data_bytes)
        self._header_bytes = self._data_bytes

    def _header(self) -> bytes:
        size = self._data_bytes
        riff_bytes = _HEADER_BYTES - _RIFF_START_BYTES + size
        fmt = struct.pack(
            "<4sIHHIIHH",
            b"fmt ",
            16,
            1,
            self._format.channels,
            self._format.rate,
            self._format.rate * self._frame_bytes,
            self._frame_bytes,
            _SAMPLE_BITS,
        )
        if riff_bytes <= self._riff_max_bytes:
            start = struct.pack("<4sI4s4sI28x", b"RIFF", riff_bytes, b"WAVE", b"JUNK", 28)
            return start + fmt + struct.pack("<4sI", b"data", size)
        start = struct.pack(
            "<4sI4s4sIQQQI",
            b"RF64",
            0xFFFFFFFF,
            b"WAVE",
            b"ds64",
            28,
            riff_bytes,
            size,
            size // self._frame_bytes,
            0,
        )
        return start + fmt + struct.pack("<4sI", b"data", 0xFFFFFFFF)

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(f"{self._path}: the recording stopped: {error.strerror}")
