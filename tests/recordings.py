"""Recorded speech for the tests, from Debian's package alsa-utils."""

from __future__ import annotations

import os
import wave
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.demo import melody
from tests.demo.wav import WavReader

FOLDER = Path(os.environ.get("ECHOWARP_RECORDINGS", "/usr/share/sounds/alsa"))

_DITHER = 12
"""Peak of the dither in steps of 16 bits, -69 dB: inaudible, yet no two blocks are the
same and none is silent, so a block that is repeated, swapped or missing is found."""
_MELODY_GAIN = 0.12
_SEED = 4415


def speech_files() -> list[Path]:
    """The recordings of spoken words, in a fixed order.

    Raises FileNotFoundError, with what to install, where there are none.
    """
    files = sorted(path for path in FOLDER.glob("*.wav") if path.stem != "Noise")
    if not files:
        raise FileNotFoundError(
            f"there is no recorded speech in {FOLDER}: install alsa-utils (./dev test does), "
            "or name a folder of WAV files in ECHOWARP_RECORDINGS"
        )
    return files


def speech_wav(path: Path, seconds: float, *, rate: int = 48_000, channels: int = 2) -> bytes:
    """Writes `seconds` of recorded speech to `path` as a 16-bit WAV file.

    Different recordings follow one another in every channel, in another order in
    each, above a quiet melody and a dither: every block of 5 ms occurs once. The
    same arguments give the same samples. Returns them as interleaved s16le.
    """
    frames = round(seconds * rate)
    dither = np.random.RandomState(_SEED).randint(-_DITHER, _DITHER + 1, (frames, channels))
    mixed = dither.astype(np.float64)
    for channel in range(channels):
        mixed[:, channel] += 0.7 * _speech(frames, rate, channel)
        mixed[:, channel] += _MELODY_GAIN * np.resize(_melody(rate)[:, channel % 2], frames)
    pcm = np.clip(np.rint(mixed), -32_768, 32_767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return pcm


def read_pcm(path: Path) -> tuple[int, int, bytes]:
    """Rate, channels and interleaved s16le samples of a WAV file."""
    with WavReader(path) as reader:
        return reader.rate, reader.channels, reader.read(reader.frames)


def _speech(frames: int, rate: int, channel: int) -> npt.NDArray[np.float64]:
    """`frames` frames of words one after another, starting with another in each channel."""
    words = [_mono(path, rate) for path in speech_files()]
    order = words[channel % len(words) :] + words[: channel % len(words)]
    return np.resize(np.concatenate(order), frames)


@cache
def _mono(path: Path, rate: int) -> npt.NDArray[np.float64]:
    """The first channel of a recording at `rate`."""
    with WavReader(path) as reader:
        samples = np.frombuffer(reader.read(reader.frames), "<i2").reshape(-1, reader.channels)
        return _at_rate(samples[:, 0].astype(np.float64), reader.rate, rate)


@cache
def _melody(rate: int) -> npt.NDArray[np.float64]:
    both = np.frombuffer(melody.render(), "<i2").reshape(-1, 2).astype(np.float64)
    return np.stack([_at_rate(both[:, side], melody.RATE, rate) for side in (0, 1)], axis=1)


def _at_rate(samples: npt.NDArray[np.float64], old_rate: int, rate: int) -> npt.NDArray[np.float64]:
    """Linear interpolation: plain, and good enough for sound that is only compared."""
    if old_rate == rate:
        return samples
    count = len(samples) * rate // old_rate
    positions = np.arange(count) * (old_rate / rate)
    return np.asarray(np.interp(positions, np.arange(len(samples)), samples), np.float64)
