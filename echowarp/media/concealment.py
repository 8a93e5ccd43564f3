"""Concealment: what is played in place of blocks that did not come.

The sound is continued by repeating whole periods of its pitch (waveform
substitution: Goodman and others, "Waveform substitution techniques for recovering
missing speech segments", IEEE Trans. ASSP 34, 1986). It keeps its level for 10 ms
and then falls to silence in 40: what lasts longer is better not invented.

PCM is s16le, whole frames. A gap at 48 kHz stereo costs about half a millisecond in
all; a call that makes no more than a block stays below one in any format.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from echowarp.media.fades import silence
from echowarp.media.format import SAMPLE_BYTES, Format
from echowarp.media.waveform import (
    HISTORY_MS,
    SEAM_MS,
    Bend,
    Loop,
    blend,
    crossfade_weights,
    duration_frames,
    fade_line,
    from_pcm,
    recent_samples,
    to_pcm,
)

LEVEL_MS = 10
"""Full level for so long."""
FADE_MS = 40
"""Then so long to silence, in a straight line."""

_PIECE_SAMPLES = 1_024
"""Made at a time where the length is known: a fraction of a millisecond of work."""


class History:
    """The last 40 ms that were played. Remembering costs about one copy of a block."""

    def __init__(self, fmt: Format) -> None:
        self._pcm = bytearray()
        self._keep_bytes = duration_frames(HISTORY_MS, fmt) * fmt.frame_bytes

    def remember(self, pcm: bytes) -> None:
        """Takes what is played next."""
        self._pcm += pcm
        if len(self._pcm) > 4 * self._keep_bytes:
            del self._pcm[: -self._keep_bytes]

    def recent(self) -> bytes:
        """What was played last: 40 ms, less at the beginning of a stream."""
        return bytes(self._pcm[-self._keep_bytes :])


class Concealer:
    """Conceals gaps whose length is not known when they begin. One owner.

    Every frame played goes through it once, in order: `resume` for blocks that came,
    `conceal` for what did not, `remember` for sound that must stay as it is.
    """

    def __init__(self, fmt: Format) -> None:
        self._format = fmt
        self._history = History(fmt)
        self._continuation: _Continuation | None = None
        self._blended_frames = 0

    def remember(self, pcm: bytes) -> None:
        """Takes sound that is played as it is; where a gap was open, it ends unblended."""
        self._end_gap()
        self._history.remember(pcm)

    def conceal(self, frames: int) -> bytes:
        """The next `frames` frames of a gap, which this opens where none is open.

        10 ms at full level, falling to silence until 50 ms, then silence.
        """
        if self._continuation is None:
            seam_frames = duration_frames(SEAM_MS, self._format)
            self._continuation = _Continuation(self._history.recent(), seam_frames, self._format)
        elif self._blended_frames:
            # Only an instant of sound came between two gaps: too little to learn from.
            self._continuation.rejoin(self._history.recent())
            self._blended_frames = 0
        pcm = to_pcm(self._continuation.take(frames))
        self._history.remember(pcm)
        return pcm

    def resume(self, pcm: bytes) -> bytes:
        """The next block that came; after a gap, its first 2 ms are blended in.

        Where a block is shorter than that, blending goes on in the next. Returns as many
        bytes, and remembers them.
        """
        if self._continuation is not None:
            pcm = self._blended(self._continuation, pcm)
        self._history.remember(pcm)
        return pcm

    def _blended(self, old: _Continuation, pcm: bytes) -> bytes:
        fmt, done = self._format, self._blended_frames
        falling, rising = crossfade_weights(duration_frames(SEAM_MS, fmt))
        frames = min(len(pcm) // fmt.frame_bytes, len(rising) - done)
        cut = frames * fmt.frame_bytes
        weights = falling[done:], rising[done:]
        head = blend(old.take(frames), from_pcm(pcm[:cut]), weights, fmt.channels)
        self._blended_frames += frames
        if self._blended_frames == len(rising):
            self._end_gap()
        return to_pcm(head) + pcm[cut:]

    def _end_gap(self) -> None:
        self._continuation, self._blended_frames = None, 0


def fill(history: bytes, frames: int, following: bytes, fmt: Format) -> Iterator[bytes]:
    """A gap of `frames` frames whose end is known, made so that both ends fit.

    history: what was given out before, best 40 ms of it; following: the block after the
    gap; b"" for silence. Both seams lie wholly inside the gap. Yields pieces of at most
    a second, together exactly `frames` frames.
    """
    if frames <= 0:
        return
    seam_frames = min(duration_frames(SEAM_MS, fmt), frames)
    continuation = _Continuation(history, seam_frames, fmt)
    left = frames - seam_frames
    while left > 0 and continuation.audible:
        piece = min(left, _PIECE_SAMPLES // fmt.channels)
        yield to_pcm(continuation.take(piece))
        left -= piece
    yield from silence(left, fmt)
    yield from _last_seam(continuation, seam_frames, following, fmt)


def _last_seam(
    continuation: _Continuation, seam_frames: int, following: bytes, fmt: Format
) -> Iterator[bytes]:
    """The last `seam_frames` frames of a gap, bent to run into `following`."""
    channels = fmt.channels
    samples = continuation.take(seam_frames + 2)
    beyond = samples[-2 * channels :]
    del samples[-2 * channels :]
    goal = from_pcm(following[: 2 * fmt.frame_bytes])
    if len(goal) < 2 * channels:  # nothing, or one frame: it holds still
        goal = (goal or array("h", bytes(fmt.frame_bytes))) * 2
    bend = Bend(_swapped(goal, channels), _swapped(beyond, channels), channels, seam_frames)
    piece = _PIECE_SAMPLES // channels
    for first in range(0, seam_frames, piece):
        part = samples[first * channels : (first + piece) * channels]
        bend.apply_backward(part, first)
        yield to_pcm(part)


def _swapped(two: array[int], channels: int) -> array[int]:
    """Two frames in the order in which time running backward meets them."""
    return two[channels:] + two[:channels]


class _Continuation:
    """A sound carried on beyond its end, frame by frame, bent at first to follow it."""

    def __init__(self, history: bytes, seam_frames: int, fmt: Format) -> None:
        self._channels = fmt.channels
        self._seam_frames = seam_frames
        self._level_frames = duration_frames(LEVEL_MS, fmt)
        self._fade_frames = duration_frames(FADE_MS, fmt)
        samples = recent_samples(history, fmt)
        self._loop = Loop(samples, fmt)
        self._position = 0
        self._join(samples[-2 * self._channels :])

    @property
    def audible(self) -> bool:
        """Whether the sound has not yet fallen to silence."""
        return self._position < self._level_frames + self._fade_frames

    def take(self, frames: int) -> array[int]:
        """The next `frames` frames."""
        samples = self._unbent(self._position, frames)
        self._bend.apply(samples, self._position - self._joined_at)
        self._position += frames
        return samples

    def rejoin(self, history: bytes) -> None:
        """Carries on where it is, bent to follow `history`."""
        two_bytes = 2 * SAMPLE_BYTES * self._channels
        self._join(from_pcm(history[-two_bytes:].rjust(two_bytes, b"\0")))

    def _join(self, last: array[int]) -> None:
        self._joined_at = self._position
        supposed = self._unbent(self._position - 2, 2)
        self._bend = Bend(last, supposed, self._channels, self._seam_frames)

    def _unbent(self, first: int, frames: int) -> array[int]:
        """Frames of the repetition from number `first` on; 0 is the first of the gap."""
        silent_at = self._level_frames + self._fade_frames
        loud = min(max(self._level_frames - first, 0), frames)
        heard = min(max(silent_at - first, 0), frames)
        samples = self._loop.frames(first, loud)
        if heard > loud:
            falling = self._loop.frames(first + loud, heard - loud)
            left = silent_at - first - loud
            samples += fade_line(falling, left, self._fade_frames, self._channels)
        samples.frombytes(bytes((frames - heard) * SAMPLE_BYTES * self._channels))
        return samples
