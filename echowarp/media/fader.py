"""The volume of one stream, changed without a click."""

from __future__ import annotations

from echowarp.media.format import Format
from echowarp.media.gain import apply_gain, ramp_gain


class Fader:
    """Makes a stream louder or softer. One thread owns it.

    gain: the first one, 0.0 to `gain.MAX_GAIN`, a factor.
    """

    def __init__(self, fmt: Format, gain: float) -> None:
        self._format = fmt
        self._gain = self._aim = gain
        self._left_frames = 0
        """Frames until the gain is what is aimed at."""

    def process(self, pcm: bytes, gain: float) -> bytes:
        """`pcm` (whole frames) with its gain on the way to `gain`, or there.

        A new gain is reached in a straight line over the frames of one block, in as many
        pieces as they come. At a settled 1.0 the same object comes back. Raises
        ValueError for a gain out of range.
        """
        if gain != self._aim:
            self._aim, self._left_frames = gain, self._format.block_frames
        frame_bytes = self._format.frame_bytes
        frames = min(len(pcm) // frame_bytes, self._left_frames)
        if not frames:
            return pcm if self._left_frames else apply_gain(pcm, gain)
        start, stop = self._gain, gain
        if frames < self._left_frames:
            stop = start + (gain - start) * frames / self._left_frames
        self._left_frames -= frames
        self._gain = stop
        ramped = ramp_gain(pcm[: frames * frame_bytes], self._format, start, stop)
        return ramped + apply_gain(pcm[frames * frame_bytes :], gain)
