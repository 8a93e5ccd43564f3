"""What a playout gives out: blocks and what stands for missing ones, at their speed."""

from __future__ import annotations

from echowarp.media.concealment import Concealer
from echowarp.media.fades import fade_frames, fade_out
from echowarp.media.format import Format
from echowarp.media.gain import ramp_gain
from echowarp.media.playout_delay import PlayoutDelay
from echowarp.media.resampler import Resampler


class PlayoutSound:
    """The sound of one stream, in the order in which it is heard. The playout owns it."""

    def __init__(self, fmt: Format, delay: PlayoutDelay, resampler: Resampler) -> None:
        self._format = fmt
        self._delay = delay
        self._ready = bytearray()
        self._concealer = Concealer(fmt)
        self._resampler = resampler
        self._last_frame = b""
        self._resting = False
        self._sounding_bytes = 0
        """Of what is ready, up to where only silence is left."""

    @property
    def ready_frames(self) -> int:
        """Frames that are made and not taken."""
        return len(self._ready) // self._format.frame_bytes

    @property
    def held_frames(self) -> int:
        """Frames of the stream that have come in and not gone out."""
        return len(self._ready) // self._format.frame_bytes + self._resampler.delay_frames

    @property
    def ended(self) -> bool:
        """Whether the sound has ended, and its fall to silence has been taken."""
        return self._resting and self._sounding_bytes <= 0

    def take(self, frames: int) -> bytes:
        """The next `frames` frames, of which there are as many."""
        size = frames * self._format.frame_bytes
        pcm = bytes(self._ready[:size])
        del self._ready[:size]
        self._sounding_bytes -= size
        return pcm

    def play(self, payload: bytes) -> None:
        """The next block, blended in where something was missing before it, or nothing."""
        pcm = self._concealer.resume(payload)
        if self._resting:
            self._resting = False
            cut = fade_frames(self._format) * self._format.frame_bytes
            pcm = ramp_gain(pcm[:cut], self._format, 0.0, 1.0) + pcm[cut:]
        self._add(pcm)

    def conceal(self, frames: int) -> None:
        """So many frames are missing. Where the sound has ended they are silent."""
        if self._resting:
            self._add(bytes(frames * self._format.frame_bytes))
        else:
            self._add(self._concealer.conceal(frames))

    def splice(self) -> None:
        """What follows is not what would have: it is blended in."""
        self._concealer.conceal(0)

    def end(self) -> None:
        """After the last block: a short fall to silence, and nothing invented."""
        if self._resting:
            self.conceal(self._format.block_frames)
            return
        fall = fade_out(self._last_frame, self._format.block_frames, self._format)
        self._concealer.remember(fall)
        self._add(fall)
        self._resting = True
        self._sounding_bytes = len(self._ready)

    def _add(self, pcm: bytes) -> None:
        frames = len(pcm) // self._format.frame_bytes
        self._last_frame = pcm[-self._format.frame_bytes :] or self._last_frame
        self._ready += self._resampler.process(pcm, self._delay.speed_ppm(frames))
