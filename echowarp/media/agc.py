"""Automatic gain: a soft voice is made louder and a loud one softer, slowly."""

from __future__ import annotations

from array import array
from sys import byteorder

from echowarp.media.fader import Fader
from echowarp.media.format import Format
from echowarp.media.pcm import level_db

AIM_DB = -20.0
"""The level that speech is brought to: loud enough, with room for its peaks."""
FLOOR_DB = -50.0
"""Softer than this is no speech, and changes nothing."""
MIN_DB, MAX_DB = -12.0, 24.0
UP_DB_PER_S = 3.0
"""Slowly, so that a pause between words is not filled with noise."""
DOWN_DB_PER_S = 20.0
STEP_DB = 0.5
"""The gain moves in steps that nobody hears: each costs a ramp."""
_MOST = 0.98 * 32767


class AutomaticGain:
    """The gain of one microphone. One thread owns it."""

    def __init__(self, fmt: Format, *, on: bool = True) -> None:
        self.on = on
        """Off, the gain goes back to 1, and from then on blocks come back as they are."""
        self._format = fmt
        self._fader = Fader(fmt, 1.0)
        self._db = 0.0

    @property
    def gain_db(self) -> float:
        """The gain now, MIN_DB to MAX_DB."""
        return round(self._db / STEP_DB) * STEP_DB

    def process(self, pcm: bytes) -> bytes:
        """A block (whole frames of s16le) with the gain of the moment."""
        if not self.on:
            self._db = 0.0
            return self._fader.process(pcm, 1.0)
        self._follow(level_db(pcm), len(pcm) / self._format.frame_bytes / self._format.rate)
        gain = 10.0 ** (self.gain_db / 20)
        peak = _peak(pcm)
        if peak * gain > _MOST:
            gain = _MOST / peak
        return self._fader.process(pcm, gain)

    def _follow(self, level: float, seconds: float) -> None:
        if level < FLOOR_DB:
            return
        wanted = max(MIN_DB, min(MAX_DB, AIM_DB - level))
        most_up, most_down = UP_DB_PER_S * seconds, DOWN_DB_PER_S * seconds
        self._db += max(-most_down, min(most_up, wanted - self._db))


def _peak(pcm: bytes) -> int:
    samples = array("h", pcm)
    if byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples)) if samples else 0
