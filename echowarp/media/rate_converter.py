"""Another sample rate, by an exact ratio: for devices that refuse the stream's own.

A polyphase filter, one dot product for each sample: many times the cost of any other
step, so it is the last resort, where neither the other end nor the device's driver can
deliver the rate that is needed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable
from itertools import starmap
from operator import mul
from sys import byteorder

from echowarp.media.format import MAX_CHANNELS, MAX_RATE, MIN_CHANNELS, MIN_RATE, SAMPLE_BYTES
from echowarp.media.windowed_sinc import fractional_taps

TAPS = 24
"""Input frames that one output frame looks at, when the rate goes up; going down there
are more, as many as last the same number of output frames."""
CUTOFF_DOWN = 0.92
"""Share of the new half rate that passes: what the filter's slope lets through above it
would fold back into the sound."""
_KAISER_BETA = 8.0
"""Purer tones than 6.5 (84 dB from 1 to 18 kHz, not 71), for 1 dB less at 18 kHz."""
_MOST_PHASES = 2560
"""Enough for an exact filter between any two of the usual rates. Odd ratios take the
nearest of so many; their position stays exact."""


class RateConverter:
    """Converts one stream from one sample rate to another. One thread owns it.

    rate_in, rate_out: 8000..192000 Hz; channels: 1..8. Raises ValueError for others.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        for rate in (rate_in, rate_out):
            if not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(f"sample rate {rate} is outside {MIN_RATE}..{MAX_RATE}")
        if not MIN_CHANNELS <= channels <= MAX_CHANNELS:
            raise ValueError(f"{channels} channels is outside {MIN_CHANNELS}..{MAX_CHANNELS}")
        common = math.gcd(rate_in, rate_out)
        self._up, self._down = rate_out // common, rate_in // common
        self._channels = channels
        half, cutoff = TAPS // 2, 1.0
        if rate_out < rate_in:
            half, cutoff = round(half * rate_in / rate_out), CUTOFF_DOWN * rate_out / rate_in
        self._taps = 2 * half
        self._phases = min(self._up, _MOST_PHASES)
        self._rows = fractional_taps(self._taps, self._phases, cutoff, _KAISER_BETA)
        self._numerator = 0
        """Place of the next output frame, in 1/up of an input frame from where the held
        input's first whole window is centred."""
        self._held = [[0.0] * (half - 1) for _ in range(channels)]

    @property
    def delay_frames(self) -> int:
        """How many input frames are held back, always: half the filter."""
        return self._taps // 2

    def needed_frames(self, frames: int) -> int:
        """How many frames `process` must be given next, at least, for `frames` (1 or more)
        to come out."""
        last = (self._numerator + (frames - 1) * self._down) // self._up
        return max(0, last + self._taps - len(self._held[0]))

    def process(self, pcm: bytes) -> bytes:
        """The next frames at the new rate, made from `pcm` and what was held back.

        pcm: any number of whole frames of s16le at the old rate. The number of frames
        that come out follows the ratio exactly, give or take one in each call. Raises
        ValueError for bytes that are not whole frames.
        """
        if len(pcm) % (SAMPLE_BYTES * self._channels):
            raise ValueError(f"{len(pcm)} bytes are not whole frames")
        samples = array("h", pcm)
        if byteorder == "big":
            samples.byteswap()
        for channel, held in enumerate(self._held):
            held.extend(map(float, samples[channel :: self._channels]))
        plan = self._plan(len(self._held[0]) - self._taps + 1)
        out = array("h", bytes(SAMPLE_BYTES * self._channels * len(plan)))
        for channel, held in enumerate(self._held):
            windows = [(row, held[at : at + self._taps]) for row, at in plan]
            out[channel :: self._channels] = _rounded(starmap(_dot_product, windows))
        self._drop_used()
        if byteorder == "big":
            out.byteswap()
        return out.tobytes()

    def _plan(self, windows: int) -> list[tuple[list[float], int]]:
        """The filter and the place of its window for each frame that can come out."""
        plan = []
        end = windows * self._up
        for numerator in range(self._numerator, end, self._down):
            at, fraction = divmod(numerator, self._up)
            row = (fraction * self._phases * 2 + self._up) // (2 * self._up)
            plan.append((self._rows[row], at))
        self._numerator += len(plan) * self._down
        return plan

    def _drop_used(self) -> None:
        used = min(self._numerator // self._up, len(self._held[0]))
        for held in self._held:
            del held[:used]
        self._numerator -= used * self._up


def _sum_of_products(weights: list[float], samples: list[float]) -> float:
    total: float = sum(map(mul, weights, samples))
    return total


_dot_product: Callable[[list[float], list[float]], float] = getattr(
    math, "sumprod", _sum_of_products
)
"""In C from Python 3.12."""


def _rounded(values: Iterable[float]) -> array[int]:
    rounded = [round(value) for value in values]
    if rounded and (min(rounded) < -32768 or max(rounded) > 32767):
        rounded = [max(-32768, min(32767, value)) for value in rounded]
    return array("h", rounded)
