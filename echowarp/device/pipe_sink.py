"""Sinks without a clock that are not files: raw PCM to a pipe, and nothing."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from echowarp.errors import ReaderGone, StorageError
from echowarp.media.format import MAX_PAYLOAD_BYTES

_PIECE_BYTES = select.PIPE_BUF if sys.platform != "win32" else 0
"""The least room that a pipe reported as writable has: a write of this much never waits."""

_STEP_BYTES = 4096
"""The same where no pipe tells."""

_LOOK_UP_S = 0.1
"""How soon a write that waits for a slow reader sees that the sink was closed."""

_SILENCE_S = 0.1
"""A reader who takes a second of silence in that time keeps it. Who does not plays what comes,
and heard silence already when nothing came: another one would delay all that follows."""


class StdoutSink:
    """Writes s16le to a pipe or file, at once and unbuffered.

    The stream itself is left open: it belongs to the caller. frame_bytes: of a frame;
    is_live: what comes is the blocks of a stream, and silence that is longer than a block
    stands for an outage; monotonic_s: the clock.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        frame_bytes: int,
        is_live: bool,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            stream.flush()
            self._fd = stream.fileno()
            is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError) as error:
            raise ReaderGone("standard output is closed") from error
        self._closed = False
        self._may_skip = is_live and not is_file
        self._step_bytes = max(1, (_PIECE_BYTES or _STEP_BYTES) // frame_bytes) * frame_bytes
        self._monotonic_s = monotonic_s
        self._skips_silence = False

    def write(self, pcm: bytes) -> None:
        """Takes whole frames; waits for a slow reader until the sink is closed. Of the long
        silence that stands for an outage such a reader gets no more than it takes soon; a file
        has no reader, and gets all.

        Raises ReaderGone when nobody reads any more, StorageError when the output
        cannot take more (disk full).
        """
        if self._may_skip and len(pcm) > MAX_PAYLOAD_BYTES and pcm.count(0) == len(pcm):
            self._write_silence(pcm)
        else:
            self._skips_silence = False
            self._write(pcm)

    def _write_silence(self, pcm: bytes) -> None:
        until_s = self._monotonic_s() + _SILENCE_S
        for at in range(0, len(pcm), self._step_bytes):
            if self._skips_silence or self._monotonic_s() > until_s:
                self._skips_silence = True
                return
            self._write(pcm[at : at + self._step_bytes])

    def _write(self, pcm: bytes) -> None:
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
