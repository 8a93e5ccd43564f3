"""What became of a known sound: how late it came, and how much of it is no faithful copy.

Every 2.5 ms of the recording is looked at, in a window of 5 ms. It is faithful when the
window is, to a correlation of 0.9, a piece of the sound, and the pieces before or after
it lie at the same delay for 20 ms: what is filled in by repeating is no copy. The sound
is band-limited noise, which correlates with nothing but itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

RATE = 48_000
HOP, WINDOW = 120, 240
"""2.5 and 5 ms."""
FAITHFUL = 0.9
RUN_HOPS = 8
"""20 ms: shorter agreement at another delay is a repetition."""
REACH = RATE * 3 // 10
"""How far from the last delay a window is looked for where it is not in its place."""
DRIFT = 3
"""Frames by which the delay may move from window to window: far more than is ever steered."""
LOW_HZ, HIGH_HZ, LEVEL, SEED = 150.0, 5000.0, 0.12, 4415
COARSE = RATE // 10
"""Short enough that steering does not smear it."""

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """delay_frames: the median; most_frames: the largest; lags_frames: of each 2.5 ms, NaN
    where it is no copy; damaged: share, 0..1, of the 2.5 ms; glitches: how often that
    began; seconds: how much was judged."""

    delay_frames: float
    most_frames: float
    lags_frames: Samples = field(compare=False, repr=False)
    damaged: float
    glitches: int
    seconds: float

    @property
    def glitches_a_minute(self) -> float:
        """How often the ear would be struck."""
        return self.glitches / self.seconds * 60


def noise(seconds: float) -> Samples:
    """The known sound, -1..1: the same for the same length."""
    frames = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.RandomState(SEED).standard_normal(frames))
    hz = np.fft.rfftfreq(frames, 1 / RATE)
    spectrum[(hz < LOW_HZ) | (hz > HIGH_HZ)] = 0
    sound = np.asarray(np.fft.irfft(spectrum, frames), np.float64)
    return np.clip(sound * LEVEL / float(sound.std()), -0.99, 0.99)


def judge(sent: Samples, came: Samples, *, first: int, count: int) -> Heard:
    """Judges `count` frames of `came` from `first` on; frame n of both is the same moment.

    All that is judged must have been sent within REACH before. Raises ValueError where
    nothing of the sound is in it.
    """
    hops = np.array(list(_lags(_Sound(sent), came, first, (count - WINDOW) // HOP)))
    faithful = _in_runs(hops)
    if not faithful.any():
        raise ValueError("nothing of the sound was heard")
    begins = np.count_nonzero(~faithful[1:] & faithful[:-1]) + (not faithful[0])
    return Heard(
        delay_frames=float(np.median(hops[faithful])),
        most_frames=float(hops[faithful].max()),
        lags_frames=np.where(faithful, hops, np.nan),
        damaged=float(1 - faithful.mean()),
        glitches=int(begins),
        seconds=count / RATE,
    )


class _Sound:
    """The sound that was sent, and where in it a window is found."""

    def __init__(self, sent: Samples) -> None:
        self._sent = sent
        self._energy = np.concatenate([[0.0], np.cumsum(sent * sent)])

    def best(self, window: Samples, first: int, last: int) -> tuple[float, int]:
        """The highest correlation of the window with those that begin at first .. last,
        and where; 0 where there is none to compare with."""
        first, last = max(0, first), min(len(self._sent) - WINDOW, last)
        energy = float(window @ window)
        if last < first or energy <= 0:
            return 0.0, 0
        starts = np.arange(first, last + 1)
        theirs = self._energy[starts + WINDOW] - self._energy[starts]
        products = np.correlate(self._sent[first : last + WINDOW], window, "valid")
        likeness = products / np.sqrt(np.maximum(theirs, 1e-9) * energy)
        at = int(likeness.argmax())
        return float(likeness[at]), first + at

    def coarse_lag(self, piece: Samples, at: int) -> int:
        """The delay at which the piece, from frame `at` on, agrees best with the sound."""
        begin = max(0, at - 4 * REACH)
        there = self._sent[begin : at + len(piece)]
        size = 1 << (len(there) + len(piece)).bit_length()
        product = np.fft.rfft(there, size) * np.conj(np.fft.rfft(piece, size))
        return at - begin - int(np.fft.irfft(product, size)[: len(there)].argmax())


def _lags(sound: _Sound, came: Samples, first: int, count: int) -> Iterator[float]:
    """By how many frames each of the windows from `first` on is late; NaN: no copy."""
    lag = None
    for at in range(first, first + count * HOP, HOP):
        window = came[at : at + WINDOW]
        here = sound.coarse_lag(came[at : at + COARSE], at) if lag is None else lag
        for reach in (DRIFT, REACH):
            likeness, found = sound.best(window, at - here - reach, at - here + reach)
            if likeness >= FAITHFUL:
                lag = at - found
                break
        yield float("nan") if likeness < FAITHFUL or lag is None else float(lag)


def _in_runs(lags: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which windows are part of a run that stays at its delay long enough."""
    faithful = np.zeros(len(lags), np.bool_)
    breaks = ~(np.abs(np.diff(lags)) <= DRIFT)  # NaN breaks as well
    edges = [0, *(np.flatnonzero(breaks) + 1), len(lags)]
    for begin, end in pairwise(edges):
        if end - begin >= RUN_HOPS and not np.isnan(lags[begin]):
            faithful[begin:end] = True
    return faithful
