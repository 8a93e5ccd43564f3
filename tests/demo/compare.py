"""Whether what was recorded is what was sent, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from echowarp.media.format import Format
from tests.demo.wav import WavReader

BLOCK_MS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """equal: blocks at their place to the last bit; blocks: of the longer of the two;
    problem: why they could not be compared at all, else empty."""

    equal: int
    blocks: int
    problem: str = ""

    @property
    def share(self) -> float:
        """Share of equal blocks, 0..1; 0 where there are none."""
        return self.equal / self.blocks if self.blocks else 0.0


def compare(source: Path, recording: Path) -> Comparison:
    """Compares two WAV files in 5 ms blocks, streamed.

    A block missing from either end counts as unequal, and so does one that is
    only in the recording. Raises WavError or OSError for files that cannot be read,
    except for a recording that is not there: that is a result.
    """
    if not recording.exists():
        return Comparison(equal=0, blocks=0, problem="nothing was recorded")
    with WavReader(source) as sent, WavReader(recording) as came:
        if (sent.rate, sent.channels) != (came.rate, came.channels):
            problem = (
                f"{sent.rate} Hz with {sent.channels} channels was sent, "
                f"{came.rate} Hz with {came.channels} was recorded"
            )
            return Comparison(equal=0, blocks=0, problem=problem)
        frames = Format.for_blocks(
            rate=sent.rate, channels=sent.channels, block_ms=BLOCK_MS
        ).block_frames
        equal = blocks = 0
        for one, other in zip_longest(sent.blocks(frames), came.blocks(frames)):
            blocks += 1
            equal += one == other
    return Comparison(equal=equal, blocks=blocks)
