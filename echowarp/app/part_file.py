"""A download on its way to its name: `NAME.part` until it is verified."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterable
from typing import BinaryIO

from echowarp.app.cache_folder import lock
from echowarp.errors import ConfigError, StorageError

EXTENSION = ".part"
READ_BYTES = 1 << 20


class PartFile:
    """The file that a download is written to; under its own name only once it is kept.

    path: that name; overwrite: it may be replaced; resume: go on with what an earlier run
    has left. Raises ConfigError when it cannot be made.
    """

    def __init__(self, path: str, *, overwrite: bool, resume: bool) -> None:
        self.path = path
        self._part = path + EXTENSION
        check_output(path, overwrite=overwrite)
        self._overwrite = overwrite
        try:
            self._file = _open(self._part)
            self._digest = hashlib.sha256()
            self.size = 0
            if not resume:
                self._file.truncate()
            while data := self._file.read(READ_BYTES):
                self._digest.update(data)
                self.size += len(data)
        except OSError as error:
            raise ConfigError(f"{self._part}: cannot be written: {error.strerror}") from error

    @property
    def name(self) -> str:
        """Where it is for now."""
        return self._part

    @property
    def sha256(self) -> str:
        """Of what is there, in small hexadecimal digits."""
        return self._digest.hexdigest()

    def write(self, pieces: Iterable[bytes]) -> None:
        """Takes the next bytes. Raises StorageError."""
        for piece in pieces:
            try:
                self._file.write(piece)
            except OSError as error:
                raise self._storage_error(error) from error
            self._digest.update(piece)
            self.size += len(piece)

    def restart(self) -> None:
        """Begins anew. Raises StorageError."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise self._storage_error(error) from error
        self._digest = hashlib.sha256()
        self.size = 0

    def keep(self) -> None:
        """Gives it its name. Raises StorageError and, when that is taken by now, ConfigError."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            check_output(self.path, overwrite=self._overwrite)
            if sys.platform == "win32":  # where nothing that is open gets another name
                self._file.close()
            os.replace(self._part, self.path)
            self._file.close()
        except OSError as error:
            raise self._storage_error(error) from error

    def close(self, *, discard: bool = False) -> None:
        """Leaves it to be gone on with, unless it is discarded or empty. Idempotent.
        Raises StorageError."""
        try:
            if not self._file.closed:
                self._file.close()
                if discard or self.size == 0:
                    os.unlink(self._part)
        except OSError as error:
            raise self._storage_error(error) from error

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(f"{self._part}: cannot be written: {error.strerror}")


def _open(path: str) -> BinaryIO:
    """A file that no other run writes to, made if need be. Raises ConfigError and OSError."""
    file = open(path, "ab+")  # noqa: SIM115
    try:
        file.seek(0)
        # Where files cannot be locked it is as good without.
        with contextlib.suppress(OSError):
            try:
                lock(file)
            except (BlockingIOError, PermissionError) as error:
                raise ConfigError(f"{path}: another run is downloading to it") from error
        if not os.path.exists(path) or not os.path.samestat(os.stat(path), os.fstat(file.fileno())):
            raise ConfigError(f"{path}: another run has just downloaded to it")
    except BaseException:
        file.close()
        raise
    return file


def check_output(path: str, *, overwrite: bool) -> None:
    """Raises ConfigError when there is something of that name that may not be replaced, or
    nothing can be put there: rather before a long upload than after it."""
    if os.path.isdir(path):
        raise ConfigError(f"{path}: is a folder, not a file to download to")
    if os.path.lexists(path) and not overwrite:
        raise ConfigError(f"{path}: exists already; --overwrite allows to replace it")
    folder = os.path.dirname(path) or os.curdir
    if not os.path.isdir(folder):
        raise ConfigError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: nothing can be written to the folder {folder}")
