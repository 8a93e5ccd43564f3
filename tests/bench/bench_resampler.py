"""The resampler beside per-sample alternatives: cost for a block, purity of tones.

    python -m tests.bench.bench_resampler [--quick]

Costs are of a block of 240 frames of stereo (5 ms at 48 kHz) in this thread's processor
time, the mean of the best of several rounds, as a share of one core at real time and as
a ratio to copying a block. Ratios of signal to noise are of sines at half of full scale.
"""

from __future__ import annotations

import argparse
import math
import struct
import time
from collections.abc import Callable
from operator import ge, mul

import numpy as np

from echowarp.media.format import Format
from echowarp.media.rate_converter import RateConverter
from echowarp.media.resampler import Resampler
from echowarp.media.windowed_sinc import fractional_taps

RATE = 48_000
BLOCK_FRAMES = 240
BLOCK_US = 5_000
TONES_HZ = (1_000, 10_000, 18_000)
LEAST_DB, JUDGED_PPM = (70, 65), 200
STEREO = Format(rate=RATE, channels=2, block_frames=BLOCK_FRAMES)

Process = Callable[[bytes], bytes]
Places = list[tuple[int, float]]
Read = Callable[[list[float], Places], list[int]]


class PerSample:
    """What the engine does not do: every sample by itself, at its own place.

    reach: samples that one looks at; read: from a channel's samples and the places (a
    sample's index and the fraction to the next) what lies there.
    """

    def __init__(self, reach: int, read: Read, channels: int, ppm: float) -> None:
        self._reach, self._read = reach, read
        self._channels, self._step = channels, 1 + ppm / 1e6
        self._place = 0.0
        self._held = [[0.0] * (reach // 2 - 1) for _ in range(channels)]

    def __call__(self, pcm: bytes) -> bytes:
        samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
        for channel, held in enumerate(self._held):
            held.extend(map(float, samples[channel :: self._channels]))
        usable = len(self._held[0]) - self._reach + 1
        count = max(0, math.ceil((usable - self._place) / self._step))
        places = [divmod(self._place + n * self._step, 1.0) for n in range(count)]
        plan = [(int(at), fraction) for at, fraction in places]
        self._place += count * self._step
        out = [0] * (count * self._channels)
        used = min(int(self._place), usable)
        for channel, held in enumerate(self._held):
            out[channel :: self._channels] = self._read(held, plan)
            del held[:used]
        self._place -= used
        if out and (min(out) < -32768 or max(out) > 32767):
            out = [max(-32768, min(32767, value)) for value in out]
        return struct.pack(f"<{len(out)}h", *out)


def linear(x: list[float], places: Places) -> list[int]:
    return [round(x[i] + f * (x[i + 1] - x[i])) for i, f in places]


def cubic(x: list[float], places: Places) -> list[int]:
    """Catmull and Rom's spline."""
    return [
        round(b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a))))
        for (a, b, c, d), f in [(x[i : i + 4], f) for i, f in places]
    ]


PHASES = fractional_taps(16, 256, 1.0, 6.5)


def polyphase(x: list[float], places: Places) -> list[int]:
    return [round(sum(map(mul, PHASES[round(f * 256)], x[i : i + 16]))) for i, f in places]


def ours(channels: int, ppm: float) -> Process:
    made = Resampler(Format(rate=RATE, channels=channels, block_frames=BLOCK_FRAMES))
    made.process(b"", 1.0)
    return lambda pcm: made.process(pcm, ppm)


METHODS: dict[str, Callable[[int, float], Process]] = {
    "linear, per sample": lambda channels, ppm: PerSample(2, linear, channels, ppm),
    "4-point cubic, per sample": lambda channels, ppm: PerSample(4, cubic, channels, ppm),
    "polyphase 16 x 256, per sample": lambda channels, ppm: PerSample(16, polyphase, channels, ppm),
    "big integer, 16 taps": ours,
}


def mean_us(work: Callable[[], object], calls: int, rounds: int) -> float:
    """Microseconds of one call: the mean of the best of `rounds` rounds of `calls`."""
    best = math.inf
    for _ in range(rounds):
        begin = time.thread_time_ns()
        for _ in range(calls):
            work()
        best = min(best, (time.thread_time_ns() - begin) / calls / 1000)
    return best


def sound(hz: float, frames: int, channels: int) -> bytes:
    angle = 2 * np.pi * hz / RATE * np.arange(frames)
    samples = np.round(16_383 * np.sin(angle)).astype("<i2")
    return np.repeat(samples[:, None], channels, axis=1).tobytes()


def snr_db(pcm: bytes, radians: float, skipped: int = 100) -> float:
    """Signal to noise of a mono sine that advances `radians` in a frame."""
    got = np.frombuffer(pcm, "<i2").astype(float)[skipped:]
    angle = radians * np.arange(len(got))
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, got, rcond=None)
    fitted = basis @ weights
    return float(10 * np.log10(np.sum(fitted**2) / np.sum((got - fitted) ** 2)))


def tone_snr_db(method: Process, hz: float, ratio: float, seconds: float) -> float:
    pcm, size = sound(hz, int(RATE * seconds), 1), 2 * BLOCK_FRAMES
    out = b"".join(method(pcm[at : at + size]) for at in range(0, len(pcm), size))
    return snr_db(out, 2 * math.pi * hz / RATE * ratio)


def line(
    name: str, microseconds: float, copy_us: float, tones: list[float], verdict: str = ""
) -> None:
    share = 100 * microseconds / BLOCK_US
    print(
        f"{name:<42}{microseconds:8.1f}{share:7.2f} %{microseconds / copy_us:8.0f} x"
        + "".join(f"{tone:8.1f}" for tone in tones)
        + verdict
    )


def resampling(ppm: float, copy_us: float, *, calls: int, seconds: float) -> None:
    """One table: every method at one correction."""
    block = sound(1_000, BLOCK_FRAMES, 2)
    for name, make in METHODS.items():
        stereo = make(2, ppm)
        cost = mean_us(lambda call=stereo: call(block), calls, 5)  # type: ignore[misc]
        tones = [tone_snr_db(make(1, ppm), hz, 1 + ppm / 1e6, seconds) for hz in TONES_HZ]
        verdict = ""
        if make is ours and abs(ppm) <= JUDGED_PPM:
            reached = all(map(ge, tones, LEAST_DB))  # the last tone has nothing to reach
            verdict = "  ok" if reached else "  MISSED"
        line(f"{ppm:+5.0f} ppm  {name}", cost, copy_us, tones, verdict)


def converting(copy_us: float, *, calls: int, seconds: float) -> None:
    """The last resort: exact ratios, per sample."""
    block = sound(1_000, BLOCK_FRAMES, 2)
    for rate_in, rate_out in ((44_100, 48_000), (48_000, 44_100)):
        stereo = RateConverter(rate_in, rate_out, 2)
        # A block of the old rate lasts a little more or less than 5 ms.
        scale = rate_in / RATE
        cost = mean_us(lambda call=stereo: call.process(block), calls // 5, 5) * scale  # type: ignore[misc]
        tones = [
            tone_snr_db(
                RateConverter(rate_in, rate_out, 1).process, hz, rate_in / rate_out, seconds
            )
            for hz in TONES_HZ
        ]
        line(f"{rate_in} to {rate_out} Hz, per sample", cost, copy_us, tones)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    quick = parser.parse_args().quick
    calls, seconds = (40, 0.5) if quick else (400, 4.0)
    block = bytearray(STEREO.block_bytes)
    copy_us = mean_us(lambda: bytes(block), 20_000, 5)
    print(f"{'stereo block of 240 frames':<42}{'us':>8}{'core':>9}{'copies':>10}", end="")
    print("".join(f"{hz // 1000:>5} kHz" for hz in TONES_HZ), "  (SNR, dB)")
    line("copying it", copy_us, copy_us, [])
    for ppm in (200.0, -200.0, 3000.0):
        resampling(ppm, copy_us, calls=calls, seconds=seconds)
    converting(copy_us, calls=calls, seconds=seconds)


if __name__ == "__main__":
    main()
