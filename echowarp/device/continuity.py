"""Keeps the time of a captured stream on the clock while its device is away."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from echowarp.device.seams import Capture
from echowarp.media.format import Format

_REMEMBERED = 64
"""Blocks from which the quickest is known: the others were handed out late."""

_FIRST_SEEN = 20
"""A device that is back is looked at for so many blocks before its sound is taken."""

_LATE_NS = 20_000_000
"""Silence later than this, because the machine was busy, is left out and not caught up."""


class _Run:
    """When the blocks of one opening of the device were captured, by the quickest."""

    def __init__(self, fmt: Format) -> None:
        self._format = fmt
        self._frames = 0
        self._block_frames = 0
        self._origins_ns: deque[int] = deque(maxlen=_REMEMBERED)
        self.blocks = 0

    def note(self, capture: Capture) -> None:
        """The next block has come."""
        self._frames += self._block_frames + capture.lost_frames
        self._block_frames = len(capture.pcm) // self._format.frame_bytes
        self._origins_ns.append(capture.captured_ns - self._format.frames_to_ns(self._frames))
        self.blocks += 1

    @property
    def begins_ns(self) -> int:
        """When the newest block begins."""
        return min(self._origins_ns) + self._format.frames_to_ns(self._frames)

    @property
    def ends_ns(self) -> int:
        """When the newest block ends."""
        return min(self._origins_ns) + self._format.frames_to_ns(self._frames + self._block_frames)


class _Stage(Enum):
    """Who gives the stream its blocks."""

    DEVICE = auto()
    SILENCE = auto()
    JOINING = auto()
    """The device, as soon as it has sound from after the silence."""


class Continuity:
    """Joins what a device captures and the silence while it is away into one stream, in
    which no time is missing that is not told, and none is twice. Not thread-safe."""

    def __init__(self, fmt: Format) -> None:
        self._format = fmt
        self._silence = bytes(fmt.block_bytes)
        self._stage = _Stage.DEVICE
        self._run = _Run(fmt)
        self._position_ns: int | None = None

    @property
    def is_silent(self) -> bool:
        """Whether silence is asked for, and not sound from the device."""
        return self._stage is _Stage.SILENCE

    def fall_silent(self) -> None:
        """The device gives nothing more, and what comes after it is another opening of it."""
        if self._stage is _Stage.DEVICE and self._run.blocks:
            self._position_ns = self._run.ends_ns
        self._stage = _Stage.SILENCE
        self._run = _Run(self._format)

    def captured(self, capture: Capture) -> Capture | None:
        """A block from the device; returns what to deliver, None for nothing."""
        self._run.note(capture)
        if self._stage is _Stage.DEVICE:
            return capture
        if self._stage is _Stage.SILENCE and self._run.blocks >= _FIRST_SEEN:
            self._stage = _Stage.JOINING
        if self._stage is not _Stage.JOINING:
            return None
        missing = 0
        if self._position_ns is not None:
            missing_ns = self._run.begins_ns - self._position_ns
            if missing_ns < -self._format.frames_to_ns(1):
                return None
            missing = self._format.ns_to_frames(max(0, missing_ns))
        self._stage = _Stage.DEVICE
        return capture._replace(lost_frames=missing)

    def silence_due_ns(self, now_ns: int) -> int:
        """When the next block of silence is due: at its end, as from a device."""
        if self._position_ns is None:
            self._position_ns = now_ns - self._format.block_ns
        return self._position_ns + self._format.block_ns

    def silence(self, now_ns: int) -> Capture:
        """The block of silence that is due."""
        late_ns = now_ns - self.silence_due_ns(now_ns)
        assert self._position_ns is not None
        lost = self._format.ns_to_frames(late_ns) if late_ns > _LATE_NS else 0
        captured_ns = self._position_ns + self._format.frames_to_ns(lost)
        self._position_ns = captured_ns + self._format.block_ns
        return Capture(self._silence, captured_ns, lost)
