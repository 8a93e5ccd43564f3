"""The three seams between the engine and whatever makes or takes sound.

A source pushes blocks from a thread of its own. A sink with a clock (a sound
card) pulls; one without (a file, a pipe, nothing) is pushed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from echowarp.media.format import Format


class Capture(NamedTuple):
    """One block from a source.

    pcm: `Format.block_frames` frames of s16le, fewer only in the source's last
    block; captured_ns: monotonic time (time.monotonic_ns) at which its first
    frame could first be read; lost_frames: frames that the source missed just
    before this block (an overrun, a backlog thrown away), 0 as a rule.
    """

    pcm: bytes
    captured_ns: int
    lost_frames: int


class Source(Protocol):
    """Where PCM comes from. Opened by its constructor, which raises
    DeviceError or ConfigError; `start` begins delivery."""

    @property
    def format(self) -> Format:
        """The format of the blocks, fixed once constructed."""

    @property
    def waits_for_listener(self) -> bool:
        """True where the sound has a beginning that must not be missed (files, pipes)."""

    def start(
        self,
        deliver: Callable[[Capture], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """Begins delivery from the source's own thread.

        `deliver` is called for each block, in order, and never blocks. `ended`
        is called once when no block will follow: with None at the end of the
        sound, else with the error that ended it.
        """

    def stop(self) -> None:
        """Ends delivery, joins the thread, closes what was opened. Idempotent."""


class PulledSink(Protocol):
    """A sink with a clock of its own: a sound card."""

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """Begins playback. `pull(frames)` is called on the device's thread and
        returns exactly that many frames; `failed` is called once if the device dies."""

    def delay_ns(self) -> int | None:
        """How long from a pull until the sound is heard, or None where unknown."""

    def stop(self) -> None:
        """Ends playback and closes the device. Idempotent."""


class PushedSink(Protocol):
    """A sink without a clock: takes PCM as fast as it comes."""

    def write(self, pcm: bytes) -> None:
        """Takes whole frames. Raises StorageError (cannot write) or ReaderGone."""

    def close(self) -> None:
        """Completes the output. Idempotent. Raises StorageError."""


class Reason(NamedTuple):
    """Why a device is to be let go.

    text: one line, None where it has gone; is_move: another takes its place at once.
    """

    text: str | None
    is_move: bool


class Watch(Protocol):
    """Looks whether the device that is open is still the one that is meant."""

    def opened(self) -> None:
        """The device has just been opened."""

    def look(self) -> Reason | None:
        """Why it is to be opened anew, None as long as all is well."""

    def close(self) -> None:
        """Ends the watch. Idempotent."""
