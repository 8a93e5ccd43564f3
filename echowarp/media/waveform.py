"""Waveforms: the stretch of sound that repeats itself best, and joints without a step.

Samples here are an `array` of 16-bit integers, interleaved. Work per sample is left to
`map`, `sum` and `math.dist`, which do it in C: a search takes a third of a millisecond.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from operator import add, mul
from sys import byteorder

from echowarp.media.format import Format

HISTORY_MS = 40
"""The sound that is searched: the longest period and a window to compare it in."""
SEAM_MS = 2
"""How long a joint takes: a bend, or the blending of one sound into another."""

_MIN_PERIOD_MS, _MAX_PERIOD_MS = 2, 16
"""Pitches of 500 down to 62 Hz; a higher one is found as a multiple of its period."""
_MIN_REPEAT_MS = 5
"""Shorter periods are repeated several at a time: one alone would buzz."""
_REFINE_MS = 5
"""The window that settles the period to a frame: the last of the sound."""
_SEARCH_RATE = 6_000
_SPARSE = 11
"""A step through interleaved samples that, prime to every number of channels, meets all."""
_DENSE_CELL, _DENSE_WINDOW = 32, 1_920
"""Up to so many samples all are looked at, beyond only every eleventh."""

_MIN_SAMPLE, _MAX_SAMPLE = -32_768, 32_767
_ONE = 1 << 32
"""A weight of 1 in fixed point: a weighted sample has its integer part in bits 32..47."""
_INTEGER_PART = 2 if byteorder == "little" else 1


def from_pcm(pcm: bytes) -> array[int]:
    """The samples of s16le."""
    samples = array("h", pcm)
    if byteorder == "big":
        samples.byteswap()
    return samples


def to_pcm(samples: array[int]) -> bytes:
    """Samples as s16le."""
    if byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes()


def duration_frames(duration_ms: int, fmt: Format) -> int:
    """How many whole frames last `duration_ms`."""
    return fmt.rate * duration_ms // 1000


def recent_samples(history: bytes, fmt: Format) -> array[int]:
    """The last 40 ms of `history`, after silence where there is less."""
    cell = _cell_frames(fmt)
    whole_bytes = duration_frames(HISTORY_MS, fmt) // cell * cell * fmt.frame_bytes
    return from_pcm(history[-whole_bytes:].rjust(whole_bytes, b"\0"))


class Loop:
    """The end of a sound, 5 to 16 ms of it, that can be repeated for ever.

    samples: the sound, as `recent_samples` gives it. Whole periods of its pitch are
    repeated, their end blended into what came before their beginning.
    """

    def __init__(self, samples: array[int], fmt: Format) -> None:
        self._channels = fmt.channels
        self._weights = crossfade_weights(duration_frames(SEAM_MS, fmt))
        self._size = _repeat_frames(samples, fmt) * fmt.channels
        self._seam = len(self._weights[0]) * fmt.channels
        self._samples = samples[-self._size - self._seam :]
        self._joined = False

    def frames(self, first: int, frames: int) -> array[int]:
        """`frames` frames of the endless sound from number `first` on.

        first: 0 is the beginning; -1 and -2 are the two frames that led to it.
        """
        count = frames * self._channels
        start = first * self._channels if first < 0 else first * self._channels % self._size
        if start + count > self._size - self._seam and not self._joined:
            self._join()  # only now: most gaps end before, and a call is to be short
        begin = self._seam + start
        out = self._samples[begin : begin + count]
        while len(out) < count:
            out += self._samples[self._seam : self._seam + count - len(out)]
        return out

    def _join(self) -> None:
        end, before = self._samples[-self._seam :], self._samples[: self._seam]
        self._samples[-self._seam :] = blend(end, before, self._weights, self._channels)
        self._joined = True


Weights = tuple[tuple[int, ...], tuple[int, ...]]


@lru_cache(maxsize=16)
def crossfade_weights(frames: int) -> Weights:
    """The weights, frame by frame, of a sound that leaves and of one that comes.

    They add up to 1, smoothly; the last frame is wholly the new sound.
    """
    falling = tuple([round(_ONE * weight) for weight in _curves(frames)[0]])
    return falling, tuple([_ONE - weight for weight in falling])


def blend(old: array[int], new: array[int], weights: Weights, channels: int) -> array[int]:
    """`old` and `new` together, as long as they last, each frame with its weights."""
    out = new[:]
    for channel in range(channels):
        place = slice(channel, None, channels)
        parts = map(mul, old[place], weights[0]), map(mul, new[place], weights[1])
        out[place] = _integer_parts(map(add, *parts))
    return out


def fade_line(samples: array[int], left: int, steps: int, channels: int) -> array[int]:
    """`samples` falling in a straight line: the weights are left / steps, (left - 1) / steps ...

    samples: at most `left` frames.
    """
    weights = range(left * (_ONE // steps), 0, -(_ONE // steps))
    for channel in range(channels):
        place = slice(channel, None, channels)
        samples[place] = _integer_parts(map(mul, samples[place], weights))
    return samples


class Bend:
    """A curve that takes up a step of value and slope, and is gone `frames` frames later.

    last: the two frames before a joint; supposed: the two that would have led smoothly
    to what comes after it.
    """

    def __init__(self, last: array[int], supposed: array[int], channels: int, frames: int) -> None:
        self._frames = frames
        gaps = [a - b for a, b in zip(last, supposed, strict=True)]
        self._steps = [
            (value, value - before)
            for before, value in zip(gaps[:channels], gaps[channels:], strict=True)
        ]

    def apply(self, samples: array[int], first: int) -> None:
        """Adds the curve to `samples`, which begin `first` frames after the joint."""
        if first < self._frames:
            self._add(samples, *(curve[first:] for curve in _curves(self._frames)))

    def apply_backward(self, samples: array[int], first: int) -> None:
        """The mirror image, for a joint at the end of a stretch of `frames` frames.

        samples: begin `first` frames after the beginning of that stretch.
        """
        self._add(samples, *(curve[::-1][first:] for curve in _curves(self._frames)))

    def _add(
        self, samples: array[int], by_value: tuple[float, ...], by_slope: tuple[float, ...]
    ) -> None:
        channels = len(self._steps)
        count = min(len(samples) // channels, len(by_value))
        for channel, (step, slope) in enumerate(self._steps):
            place = slice(channel, count * channels, channels)
            bent = [
                value + round(step * a + slope * b)
                for value, a, b in zip(samples[place], by_value, by_slope, strict=False)
            ]
            if bent and (max(bent) > _MAX_SAMPLE or min(bent) < _MIN_SAMPLE):
                bent = [min(max(value, _MIN_SAMPLE), _MAX_SAMPLE) for value in bent]
            samples[place] = array("h", bent)


@lru_cache(maxsize=16)
def _curves(frames: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Curves that fall to nothing: from value 1, and from slope 1 a frame (cubic Hermite).

    The second is gone in half the time: a slope seen between two frames says little
    about the next hundred.
    """
    by_value = tuple([1 + t * t * (2 * t - 3) for t in (k / frames for k in range(1, frames + 1))])
    half = (frames + 1) // 2
    by_slope = tuple([k * (1 - k / half) ** 2 for k in range(1, half + 1)])
    return by_value, by_slope + (0.0,) * (frames - half)


def _repeat_frames(samples: array[int], fmt: Format) -> int:
    """How many frames to repeat: whole periods of the pitch, at least 5 ms."""
    cell = _cell_frames(fmt)
    mix = _mix(samples, cell * fmt.channels)
    longest = duration_frames(_MAX_PERIOD_MS, fmt) // cell
    window = len(mix) - longest
    end, energy = mix[-window:], list(accumulate(map(mul, mix, mix), initial=0))
    own = energy[-1] - energy[-1 - window]
    best, best_score = longest, math.inf
    for lag in range(duration_frames(_MIN_PERIOD_MS, fmt) // cell, longest + 1):
        at = longest - lag
        distance = math.dist(end, mix[at : at + window])
        # The distance of what is alike, however loud: 0 for the same, 1 for strangers.
        score = distance * distance / (own + energy[at + window] - energy[at] + 1)
        if score < best_score:
            best, best_score = lag, score
    period = best * cell
    periods = max(1, -(-duration_frames(_MIN_REPEAT_MS, fmt) // period))
    return _refined(samples, periods * period, max(1, periods * cell // 2), fmt)


def _cell_frames(fmt: Format) -> int:
    """Frames that become one sample of the search."""
    return max(1, round(fmt.rate / _SEARCH_RATE))


def _mix(samples: array[int], cell: int) -> tuple[int, ...]:
    """Sums over cells of `cell` samples, all channels together."""
    # One sample more than a cell: sounds in opposite phase do not cancel wholly.
    step = 1 if cell <= _DENSE_CELL else _SPARSE
    parts = [samples[k::cell] for k in range(cell - 1, 2 * cell, step)]
    return tuple(map(sum, zip(*parts, strict=False)))


def _refined(samples: array[int], period: int, reach: int, fmt: Format) -> int:
    """The period within `reach` frames of `period` that the last 5 ms repeat best."""
    channels = fmt.channels
    count = duration_frames(_REFINE_MS, fmt) * channels
    step = 1 if count <= _DENSE_WINDOW else _SPARSE
    end = tuple(samples[-count::step])
    region = tuple(samples[-count - (period + reach) * channels : (reach - period) * channels])

    def distance(lag: int) -> float:
        start = (period + reach - lag) * channels
        return math.dist(end, region[start : start + count : step])

    best, nearest, hop = period, distance(period), reach
    while hop:  # towards the minimum in ever smaller hops
        for lag in (best - hop, best + hop):
            if abs(lag - period) <= reach and (found := distance(lag)) < nearest:
                best, nearest = lag, found
        hop //= 2
    return best


def _integer_parts(fixed: Iterable[int]) -> array[int]:
    """Numbers in fixed point, rounded down."""
    return array("h", array("q", fixed).tobytes())[_INTEGER_PART::4]
