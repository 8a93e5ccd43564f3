"""From the stream's rate and channels to those of a device that refuses them."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.media.channels import remix
from echowarp.media.format import SAMPLE_BYTES, Format
from echowarp.media.rate_converter import RateConverter


class PullConverter:
    """Stands between a device that pulls and what it pulls from. The device's thread
    owns it once it is made, which may take a tenth of a second.

    fmt: of the stream; rate, channels: of the device. Raises ValueError for a rate or a
    number of channels that no stream could have.
    """

    def __init__(self, fmt: Format, rate: int, channels: int) -> None:
        self._format = fmt
        self._channels = channels
        self._mixed_channels = min(fmt.channels, channels)
        """While the rate changes: its cost goes with the number of channels."""
        self._converter: RateConverter | None = None
        if rate != fmt.rate:
            self._converter = RateConverter(fmt.rate, rate, self._mixed_channels)
        self._ready = bytearray()

    @property
    def delay_ns(self) -> int:
        """How long the sound stays here, in nanoseconds."""
        held = 0 if self._converter is None else self._converter.delay_frames
        return self._format.frames_to_ns(held)

    def pull(self, frames: int, pull: Callable[[int], bytes]) -> bytes:
        """Exactly `frames` frames for the device.

        pull(n): returns exactly n frames of the stream; asked for no more than it takes.
        """
        frame_bytes = SAMPLE_BYTES * self._channels
        wanted = frames * frame_bytes
        while len(self._ready) < wanted:
            missing = (wanted - len(self._ready)) // frame_bytes
            if self._converter is not None:
                missing = self._converter.needed_frames(missing)
            self._ready += self._converted(pull(missing))
        pcm = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        return pcm

    def _converted(self, pcm: bytes) -> bytes:
        pcm = remix(pcm, self._format.channels, self._mixed_channels)
        if self._converter is not None:
            pcm = self._converter.process(pcm)
        return remix(pcm, self._mixed_channels, self._channels)
