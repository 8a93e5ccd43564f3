"""Sources without a clock: WAV files, raw PCM from a pipe, a tone."""

from __future__ import annotations

import logging
import math
import os
import select
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import BinaryIO

from echowarp.device.pacing import MAX_LATE_NS, Pacer
from echowarp.device.seams import Capture
from echowarp.device.wav_reader import WavReader
from echowarp.errors import ConfigError
from echowarp.media.format import Format

_log = logging.getLogger(__name__)

_PIPE_MAX_LATE_NS = 20_000_000
"""A pipe whose writer fell behind gets at most this much of a burst: less would let the
unevenness of a live writer add up as delay."""

_ABANDON_S = 0.5
"""How long stop() waits for a thread that a silent pipe holds (Windows only)."""

_TONE_AMPLITUDE = 32768 * 10 ** (-12 / 20)
"""A peak 12 dB below full scale: clearly heard, hurts nobody."""


class PacedSource(ABC):
    """The thread that all these sources have: one block, wait until it is due, deliver."""

    waits_for_listener = True
    """Its sound has a beginning that must not be missed."""

    def __init__(self, sound_format: Format, max_late_ns: int = MAX_LATE_NS) -> None:
        self._format = sound_format
        self._max_late_ns = max_late_ns
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def format(self) -> Format:
        """The format of the blocks."""
        return self._format

    def start(
        self,
        deliver: Callable[[Capture], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """Begins delivery, in real time, from a thread of its own."""
        self._thread = threading.Thread(
            target=self._run, args=(deliver, ended), name=type(self).__name__, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends delivery and closes the input. Idempotent."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_ABANDON_S if sys.platform == "win32" else None)
        self._close()

    def _run(
        self,
        deliver: Callable[[Capture], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        failure: BaseException | None = None
        try:
            self._pump(deliver)
        except Exception as error:  # the top of a thread: the owner is told
            failure = error
        if failure is not None or not self._stopping.is_set():
            ended(failure)

    def _pump(self, deliver: Callable[[Capture], None]) -> None:
        pacer = Pacer(
            self._format.rate,
            now_ns=time.monotonic_ns,
            wait=self._sleep,
            max_late_ns=self._max_late_ns,
        )
        while not self._stopping.is_set() and (pcm := self._next_block()):
            read_ns = time.monotonic_ns()
            due_ns = pacer.next(len(pcm) // self._format.frame_bytes)
            if due_ns is None:
                return
            deliver(Capture(pcm, self._captured_ns(due_ns, read_ns), 0))

    def _sleep(self, seconds: float) -> bool:
        # Never longer than a block; finer than waiting for an event on every system.
        time.sleep(seconds)
        return self._stopping.is_set()

    def _captured_ns(self, due_ns: int, read_ns: int) -> int:
        return due_ns

    @abstractmethod
    def _next_block(self) -> bytes:
        """A whole block, fewer frames at the end of the sound, then nothing."""

    @abstractmethod
    def _close(self) -> None:
        """Closes the input."""


class WavSource(PacedSource):
    """A WAV file in its own rate and channels, once or for ever.

    path: the file; block_ms: length of a block; loop: start again at the end without
    a seam. Raises ConfigError as WavReader does.
    """

    def __init__(self, path: str, *, block_ms: float, loop: bool) -> None:
        self._reader = WavReader(path)
        self._loop = loop
        self.truncated = self._reader.truncated
        self.frames = self._reader.frames
        super().__init__(
            Format.for_blocks(
                rate=self._reader.rate, channels=self._reader.channels, block_ms=block_ms
            )
        )

    def _next_block(self) -> bytes:
        wanted = self._format.block_frames
        pcm = self._reader.read(wanted)
        while self._loop and len(pcm) < self._format.block_bytes:
            self._reader.rewind()
            more = self._reader.read(wanted - len(pcm) // self._format.frame_bytes)
            if not more:
                break  # cut to nothing while it was playing
            pcm += more
        return pcm

    def _close(self) -> None:
        self._reader.close()


class PipeSource(PacedSource):
    """Raw s16le from a pipe, in the format that the user says it has.

    A writer that is faster than real time is held to it; one that is slower, or
    pauses, is followed. The stream itself is left open: it belongs to the caller.
    """

    def __init__(self, stream: BinaryIO, *, format: Format) -> None:
        super().__init__(format, _PIPE_MAX_LATE_NS)
        self._fd = stream.fileno()
        self._wake_fd, self._waker_fd = os.pipe()
        self._held = b""

    def stop(self) -> None:
        """Ends delivery, even while the pipe is silent. Idempotent."""
        if not self._stopping.is_set():
            self._stopping.set()
            os.close(self._waker_fd)
            super().stop()

    def _captured_ns(self, due_ns: int, read_ns: int) -> int:
        return max(due_ns, read_ns)

    def _next_block(self) -> bytes:
        block_bytes, frame_bytes = self._format.block_bytes, self._format.frame_bytes
        while len(self._held) < block_bytes:
            if not self._wait_readable():
                return b""
            try:
                data = os.read(self._fd, block_bytes - len(self._held))
            except BlockingIOError:
                continue
            except OSError as error:
                raise ConfigError(f"standard input cannot be read: {error.strerror}") from error
            if not data:
                break
            self._held += data
        whole = len(self._held) // frame_bytes * frame_bytes
        pcm, self._held = self._held[:whole], self._held[whole:]
        if self._held and not pcm:
            _log.warning(
                "the input ended inside a frame: its last %d bytes were dropped", len(self._held)
            )
        return pcm

    def _wait_readable(self) -> bool:
        """Waits for data or its end; False when it is time to stop."""
        if sys.platform == "win32":
            return True  # select() takes no pipes there: the read itself waits
        ready, _, _ = select.select([self._fd, self._wake_fd], [], [])
        return self._wake_fd not in ready

    def _close(self) -> None:
        os.close(self._wake_fd)


class ToneSource(PacedSource):
    """A sine with its peak at -12 dBFS, the same on all channels, for ever.

    hz: above 0, below half the rate; kept exactly when whole or half, else within a
    quarter of a hertz. Raises ConfigError when out of range.
    """

    waits_for_listener = False

    def __init__(self, hz: float, *, format: Format) -> None:
        super().__init__(format)
        if not 0 < hz < format.rate / 2:
            raise ConfigError(
                f"a tone of {hz:g} Hz cannot be sent at {format.rate} Hz:"
                f" choose one above 0 and below {format.rate / 2:g}"
            )
        # A whole number of cycles in a whole number of frames repeats without a seam.
        cycles = max(
            Fraction(hz / format.rate).limit_denominator(2 * format.rate),
            Fraction(1, 2 * format.rate),
        )
        self._frames = cycles.denominator
        step = 2 * math.pi * cycles.numerator / cycles.denominator
        table = b"".join(
            struct.pack("<h", round(_TONE_AMPLITUDE * math.sin(step * n))) * format.channels
            for n in range(self._frames)
        )
        repeats = 1 + -(-format.block_frames // self._frames)
        self._table = (table * repeats)[: len(table) + format.block_bytes]
        self._position = 0

    def _next_block(self) -> bytes:
        start = self._position * self._format.frame_bytes
        self._position = (self._position + self._format.block_frames) % self._frames
        return self._table[start : start + self._format.block_bytes]

    def _close(self) -> None:
        self._table = b""
