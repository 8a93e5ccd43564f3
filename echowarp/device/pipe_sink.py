"""Sinks without a clock that are not files: raw PCM to a pipe, and nothing."""

from __future__ import annotations

import errno
import os
import select
import sys
from typing import BinaryIO

from echowarp.errors import ReaderGone, StorageError

_PIECE_BYTES = select.PIPE_BUF if sys.platform != "win32" else 0
"""The least room that a pipe reported as writable has: a write of this much never waits."""

_LOOK_UP_S = 0.1
"""How soon a write that waits for a slow reader sees that the sink was closed."""


class StdoutSink:
    """Writes s16le to a pipe or file, at once and unbuffered.

    The stream itself is left open: it belongs to the caller.
    """

    def __init__(self, stream: BinaryIO) -> None:
        try:
            stream.flush()
            self._fd = stream.fileno()
        except (OSError, ValueError) as error:
            raise ReaderGone("standard output is closed") from error
        self._closed = False

    def write(self, pcm: bytes) -> None:
        """Takes whole frames; waits for a slow reader until the sink is closed.

        Raises ReaderGone when nobody reads any more, StorageError when the output
        cannot take more (disk full).
        """
        view = memoryview(pcm)
        try:
            while view and self._wait_writable():
                view = view[self._write_some(view) :]
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF) or _is_gone_on_windows(error):
                raise ReaderGone("the reader of standard output has left") from error
            raise StorageError(f"standard output cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Takes no more. Idempotent."""
        self._closed = True

    def _write_some(self, view: memoryview) -> int:
        try:
            return os.write(self._fd, view if sys.platform == "win32" else view[:_PIECE_BYTES])
        except BlockingIOError:
            return 0

    def _wait_writable(self) -> bool:
        """Waits until a piece can be written; False once the sink is closed."""
        if sys.platform == "win32":
            return not self._closed  # select() takes no pipes there: the write itself waits
        while not self._closed:
            _, ready, _ = select.select([], [self._fd], [], _LOOK_UP_S)
            if ready:
                return True
        return False


def _is_gone_on_windows(error: OSError) -> bool:
    return sys.platform == "win32" and error.errno == errno.EINVAL


class NullSink:
    """Takes everything, keeps nothing."""

    def write(self, pcm: bytes) -> None:
        """Takes whole frames."""

    def close(self) -> None:
        """Takes no more. Idempotent."""
