"""A noise gate: what is softer than speech is silenced."""

from __future__ import annotations

from echowarp.media.fader import Fader
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.pcm import level_db

OPEN_DB, CLOSE_DB = -45.0, -51.0
"""It opens at the one and closes under the other, so that it does not flutter between."""
HOLD_NS = NS_PER_S // 4
"""It stays open so long after the last block that is loud enough."""


class NoiseGate:
    """The gate of one microphone, closed at first. One thread owns it."""

    def __init__(self, fmt: Format, *, on: bool = True) -> None:
        self.on = on
        """Off, it is open, and blocks come back as they are."""
        self._format = fmt
        self._fader = Fader(fmt, 0.0 if on else 1.0)
        self._held_ns = 0

    @property
    def is_open(self) -> bool:
        """Whether sound passes."""
        return not self.on or self._held_ns > 0

    def process(self, pcm: bytes) -> bytes:
        """A block (whole frames of s16le), or its silence; in between it fades."""
        if self.on:
            level = level_db(pcm)
            if level >= (CLOSE_DB if self._held_ns else OPEN_DB):
                self._held_ns = HOLD_NS
            else:
                frames = len(pcm) // self._format.frame_bytes
                self._held_ns = max(0, self._held_ns - self._format.frames_to_ns(frames))
        return self._fader.process(pcm, 1.0 if self.is_open else 0.0)
