"""The format of a stream: what one block of PCM looks like."""

from __future__ import annotations

from dataclasses import dataclass, field

NS_PER_S = 1_000_000_000
SAMPLE_BYTES = 2
"""Signed 16-bit little-endian, the only sample that travels."""

MAX_PAYLOAD_BYTES = 1187
"""A payload that fits one datagram, also as part of a repair sum (1198 - 5 - 6 bytes)."""

MIN_RATE, MAX_RATE = 8_000, 192_000
MIN_CHANNELS, MAX_CHANNELS = 1, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Signed 16-bit interleaved PCM.

    rate: frames a second, 8000..192000; channels: 1..8; block_frames: frames in
    one full block, at least 1, at most MAX_PAYLOAD_BYTES worth.
    """

    rate: int
    channels: int
    block_frames: int
    frame_bytes: int = field(init=False, repr=False, compare=False)
    """Bytes of one frame (one sample for each channel)."""
    block_bytes: int = field(init=False, repr=False, compare=False)
    """Bytes of one full block."""
    block_ns: int = field(init=False, repr=False, compare=False)
    """How long one full block lasts, in nanoseconds."""

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise ValueError(f"sample rate {self.rate} is outside {MIN_RATE}..{MAX_RATE}")
        if not MIN_CHANNELS <= self.channels <= MAX_CHANNELS:
            raise ValueError(f"{self.channels} channels is outside {MIN_CHANNELS}..{MAX_CHANNELS}")
        # Computed once, for they are looked at several times for each block.
        object.__setattr__(self, "frame_bytes", SAMPLE_BYTES * self.channels)
        object.__setattr__(self, "block_bytes", self.block_frames * self.frame_bytes)
        object.__setattr__(self, "block_ns", self.frames_to_ns(self.block_frames))
        if not 1 <= self.block_frames <= MAX_PAYLOAD_BYTES // self.frame_bytes:
            raise ValueError(f"a block of {self.block_frames} frames does not fit a datagram")

    @classmethod
    def for_blocks(cls, *, rate: int, channels: int, block_ms: float) -> Format:
        """The format whose block lasts `block_ms`, or less where a datagram holds less.

        Raises ValueError when rate or channels are out of range.
        """
        if not MIN_CHANNELS <= channels <= MAX_CHANNELS:
            raise ValueError(f"{channels} channels is outside {MIN_CHANNELS}..{MAX_CHANNELS}")
        wanted = int(rate * block_ms / 1000)
        fits = MAX_PAYLOAD_BYTES // (SAMPLE_BYTES * channels)
        return cls(rate=rate, channels=channels, block_frames=max(1, min(wanted, fits)))

    def frames_to_ns(self, frames: int) -> int:
        """How long `frames` frames last, in nanoseconds, rounded down."""
        return frames * NS_PER_S // self.rate

    def ns_to_frames(self, duration_ns: int) -> int:
        """How many whole frames fit `duration_ns` nanoseconds, rounded down."""
        return duration_ns * self.rate // NS_PER_S

    def __str__(self) -> str:
        kind = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.rate} Hz, {kind}"
