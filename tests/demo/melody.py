"""The built-in melody: twelve seconds of plucked strings, computed from nothing.

Four bars of C major 9, A minor 7, F major 7 and G 6: a bass, broken chords and a
tune above them. A string is a few decaying partials, each a damped two-term
recurrence, so a sample costs two multiplications and no call of `sin`.
"""

from __future__ import annotations

import math
import sys
import wave
from array import array
from functools import cache
from pathlib import Path
from typing import NamedTuple

RATE = 48_000
CHANNELS = 2
DURATION_S = 12.0

_BEAT_S = 0.75
_PEAK = 0.4  # of full scale: soft, and far from clipping
_ECHO_S, _ECHO_GAIN = 0.28, 0.22
_ATTACK_S, _RELEASE_S, _FADE_OUT_S = 0.004, 0.05, 0.6

_PARTIALS = ((1, 1.0), (2, 0.42), (3, 0.18), (4, 0.09))
"""Partials of a string: multiple of its pitch, and strength."""

_BARS = (
    (36, (60, 64, 67, 71, 74, 71, 67, 64), ((76, 0, 2), (74, 2, 1), (79, 3, 1))),
    (33, (57, 60, 64, 67, 72, 67, 64, 60), ((76, 0, 1.5), (72, 1.5, 2.5))),
    (29, (57, 60, 65, 69, 72, 69, 65, 60), ((77, 0, 1), (76, 1, 1), (72, 2, 2))),
    (31, (59, 62, 67, 71, 74, 71, 67, 62), ((74, 0, 1), (71, 1, 1), (72, 2, 2))),
)
"""Bass, broken chord in eighths, tune as (note, beat, beats); notes as MIDI numbers."""


class Note(NamedTuple):
    """A string plucked: MIDI number, times in seconds, strength 0..1, pan 0 left..1 right."""

    pitch: int
    start_s: float
    length_s: float
    strength: float
    pan: float


def score() -> list[Note]:
    """All notes of the melody."""
    notes = []
    for bar, (bass, chord, tune) in enumerate(_BARS):
        at_s = bar * 4 * _BEAT_S
        notes += [Note(bass + 12, at_s + beat * _BEAT_S, 1.5, 0.5, 0.5) for beat in (0, 2)]
        notes += [
            Note(pitch, at_s + step * _BEAT_S / 2, 1.0, 0.28, 0.2 + 0.6 * (step % 4) / 3)
            for step, pitch in enumerate(chord)
        ]
        notes += [
            Note(pitch, at_s + beat * _BEAT_S, beats * _BEAT_S + 0.3, 0.45, 0.58)
            for pitch, beat, beats in tune
        ]
    return notes


@cache
def pluck(pitch: int, length_s: float) -> array[float]:
    """One string of MIDI number `pitch`, `length_s` seconds of it, starting near ±1."""
    frames = int(length_s * RATE)
    out = array("d", bytes(8 * frames))
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    for multiple, strength in _PARTIALS:
        # y[n] = 2 r cos(w) y[n-1] - r^2 y[n-2] is r^n sin(w n), once started right.
        angle = 2 * math.pi * frequency * multiple / RATE
        keep = math.exp(-(1.6 + 0.9 * multiple) / RATE)
        first, second = 2 * keep * math.cos(angle), -keep * keep
        older, newer = 0.0, strength * keep * math.sin(angle)
        for n in range(frames):
            out[n] += older
            older, newer = newer, first * newer + second * older
    _ramp(out, 0, int(_ATTACK_S * RATE), rising=True)
    _ramp(out, frames - int(_RELEASE_S * RATE), frames, rising=False)
    return out


def _ramp(samples: array[float], start: int, stop: int, *, rising: bool) -> None:
    """Fades `samples[start:stop]` in or out, so that nothing clicks."""
    for n in range(max(0, start), min(stop, len(samples))):
        share = (n - start) / (stop - start)
        samples[n] *= share if rising else 1 - share


def _mix(notes: list[Note], frames: int) -> tuple[array[float], array[float]]:
    left, right = array("d", bytes(8 * frames)), array("d", bytes(8 * frames))
    for note in notes:
        to_left = note.strength * math.cos(note.pan * math.pi / 2)
        to_right = note.strength * math.sin(note.pan * math.pi / 2)
        start = int(note.start_s * RATE)
        for n, value in enumerate(pluck(note.pitch, note.length_s)[: frames - start], start):
            left[n] += value * to_left
            right[n] += value * to_right
    return left, right


def render(duration_s: float = DURATION_S) -> bytes:
    """The first `duration_s` seconds of the melody as interleaved stereo s16le at RATE."""
    frames = int(duration_s * RATE)
    left, right = _mix([note for note in score() if note.start_s < duration_s], frames)
    delay = int(_ECHO_S * RATE)
    for n in range(delay, frames):  # an echo from the other side
        left[n] += _ECHO_GAIN * right[n - delay]
        right[n] += _ECHO_GAIN * left[n - delay]
    loudest = max(max(map(abs, side), default=0.0) for side in (left, right)) or 1.0
    out = array("h", bytes(4 * frames))
    for side, samples in enumerate((left, right)):
        _ramp(samples, frames - int(_FADE_OUT_S * RATE), frames, rising=False)
        scale = _PEAK * 32_767 / loudest
        out[side::2] = array("h", [round(value * scale) for value in samples])
    return _little_endian(out)


def _little_endian(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def write(path: Path, duration_s: float = DURATION_S) -> None:
    """Writes the melody as a 16-bit WAV file to `path`."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(CHANNELS)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(render(duration_s))
