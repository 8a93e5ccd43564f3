"""What a playout gives out: blocks and what stands for missing ones, at their speed."""

from __future__ import annotations

from echowarp.media.concealment import Concealer
from echowarp.media.fades import fade_out
from echowarp.media.format import Format
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

    @property
    def ready_frames(self) -> int:
        """Frames that are made and not taken."""
        return len(self._ready) // self._format.frame_bytes

    @property
    def held_frames(self) -> int:
        """Frames of the stream that have come in and not gone out."""
        return self.ready_frames + self._resampler.delay_frames

    def take(self, frames: int) -> bytes:
        """The next `frames` frames, of which there are as many."""
        size = frames * self._format.frame_bytes
        pcm = bytes(self._ready[:size])
        del self._ready[:size]
        return pcm

    def play(self, payload: bytes) -> None:
        """The next block, blended in where something was missing before it."""
        self._last_frame = payload[-self._format.frame_bytes :]
        self._add(self._concealer.resume(payload))

    def conceal(self, frames: int) -> None:
        """So many frames are missing."""
        self._add(self._concealer.conceal(frames))

    def splice(self) -> None:
        """What follows is not what would have: it is blended in."""
        self._concealer.conceal(0)

    def end(self) -> None:
        """After the last block: a short fall to silence, and nothing invented."""
        last, self._last_frame = self._last_frame, b""
        self._add(fade_out(last, self._format.block_frames, self._format))

    def _add(self, pcm: bytes) -> None:
        frames = len(pcm) // self._format.frame_bytes
        self._ready += self._resampler.process(pcm, self._delay.speed_ppm(frames))
