"""What concealment sounds like, by numbers, and what it costs.

    python -m tests.bench.bench_concealment [--quick]

Recorded speech (mono) and the melody (stereo), both at 48 kHz, lose 5 % of their blocks
of 5 ms: single ones, or runs of four (20 ms). What comes out is compared with what went in:

* Distance: log-spectral, in dB. Windows of 10 ms (Hann, every 2.5 ms, left channel),
  those whose middle half holds lost frames and whose original is above -50 dBFS. In each,
  the root mean square over all bins, 0 to 24 kHz, of the difference of the two power
  spectra in dB, where a sine of full scale is 0 dB and -100 dB is added to both, which
  hides what no one hears. Then the mean over the windows.
* Clicks: energy above 6 kHz in the windows that hold lost frames, against the original.

Costs are of this thread's processor time: the mean of the best of several rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from echowarp.media.concealment import Concealer, History, fill
from echowarp.media.fades import gap
from echowarp.media.format import Format
from echowarp.media.waveform import SEAM_MS, duration_frames
from tests.bench.bench_resampler import mean_us
from tests.demo import melody
from tests.recordings import read_pcm, speech_files

RATE = 48_000
MOST_CLICKS_DB = 9.0
"""More energy above 6 kHz than was sent."""
LOSS = 0.05
WINDOW, HOP = RATE // 100, RATE // 400
FLOOR = 1e-10
QUIETEST = 1e-5
CLICK_HZ = 6_000

Lost = npt.NDArray[np.bool_]
Play = Callable[[bytes, Lost, Format], Iterator[bytes]]
Floats = npt.NDArray[np.float64]


def blocks(pcm: bytes, lost: Lost, fmt: Format) -> Iterator[tuple[bool, bytes]]:
    for k, gone in enumerate(lost):
        yield bool(gone), pcm[k * fmt.block_bytes : (k + 1) * fmt.block_bytes]


def pulled(pcm: bytes, lost: Lost, fmt: Format) -> Iterator[bytes]:
    """Ours, where the length of a gap is not known."""
    concealer = Concealer(fmt)
    for gone, block in blocks(pcm, lost, fmt):
        yield concealer.conceal(fmt.block_frames) if gone else concealer.resume(block)


def pushed(pcm: bytes, lost: Lost, fmt: Format) -> Iterator[bytes]:
    """Ours, where it is."""
    history, missing = History(fmt), 0
    for gone, block in blocks(pcm, lost, fmt):
        if gone:
            missing += fmt.block_frames
            continue
        for piece in (*fill(history.recent(), missing, block, fmt), block):
            history.remember(piece)
            yield piece
        missing = 0
    yield bytes(missing * fmt.frame_bytes)


def faded(pcm: bytes, lost: Lost, fmt: Format) -> Iterator[bytes]:
    """A fall to silence and a rise from it, 2 ms each, both inside the gap."""
    last, missing = b"", 0
    for gone, block in blocks(pcm, lost, fmt):
        if gone:
            missing += fmt.block_frames
            continue
        if missing:
            yield b"".join(gap(missing, last, block[: fmt.frame_bytes], fmt))
        yield block
        last, missing = block[-fmt.frame_bytes :], 0
    if missing:
        yield b"".join(gap(missing, last, b"", fmt))


def silent(pcm: bytes, lost: Lost, fmt: Format) -> Iterator[bytes]:
    for gone, block in blocks(pcm, lost, fmt):
        yield bytes(len(block)) if gone else block


def repeated(pcm: bytes, lost: Lost, fmt: Format) -> Iterator[bytes]:
    last = bytes(fmt.block_bytes)
    for gone, block in blocks(pcm, lost, fmt):
        last = last if gone else block
        yield last


SCHEMES: dict[str, Play] = {
    "ours, pulled": pulled,
    "ours, pushed": pushed,
    "faded gap": faded,
    "silence": silent,
    "repeated block": repeated,
}


def losses(count: int, run: int, seed: int) -> Lost:
    """Which of `count` blocks are lost: runs of `run`, 5 % in all, at random."""
    starts = np.random.RandomState(seed).random_sample(count) < LOSS / run
    starts[:10] = False
    return np.convolve(starts, np.ones(run))[:count] > 0


def spectra(samples: Floats) -> Floats:
    """Power spectra of all windows; a sine of full scale is 1."""
    shape = np.hanning(WINDOW)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows * shape)) ** 2 / (shape.sum() / 2) ** 2
    return np.asarray(power, np.float64)


def left(pcm: bytes, fmt: Format) -> Floats:
    return np.frombuffer(pcm, "<i2").reshape(-1, fmt.channels)[:, 0] / 32_768.0


def holds(frames: Lost, begin: int, end: int) -> Lost:
    """Which windows hold one of `frames` between their frames `begin` and `end`."""
    inside = np.lib.stride_tricks.sliding_window_view(frames, WINDOW)[::HOP]
    return np.asarray(inside[:, begin:end].any(axis=1))


def compare(pcm: bytes, out: bytes, lost: Lost, fmt: Format) -> tuple[float, float]:
    """Distance and clicks, both in dB."""
    original, played = left(pcm, fmt), left(out, fmt)
    before, after = spectra(original), spectra(played)
    gone = np.repeat(lost, fmt.block_frames)
    level = np.lib.stride_tricks.sliding_window_view(original**2, WINDOW)[::HOP].mean(axis=1)
    judged = holds(gone, WINDOW // 4, WINDOW * 3 // 4) & (level > QUIETEST)
    difference = 10 * np.log10((before[judged] + FLOOR) / (after[judged] + FLOOR))
    distance = np.sqrt(np.mean(difference**2, axis=1)).mean()
    touched, high = holds(gone, 0, WINDOW), CLICK_HZ * WINDOW // RATE
    clicks = 10 * np.log10(after[touched, high:].sum() / before[touched, high:].sum())
    return float(distance), float(clicks)


def speech() -> bytes:
    """All recordings one after another, mono."""
    words = []
    for path in speech_files():
        rate, channels, pcm = read_pcm(path)
        assert (rate, channels) == (RATE, 1), f"{path}: 48 kHz mono is wanted"
        words.append(pcm)
    return b"".join(words)


def print_quality(seeds: int) -> None:
    """Distances and clicks of every scheme on every material."""
    mono = Format(rate=RATE, channels=1, block_frames=RATE // 200)
    stereo = Format(rate=RATE, channels=2, block_frames=RATE // 200)
    materials = (
        ("voice, 5 ms gaps", speech(), mono, 1, 5.4 / 9.2),
        ("voice, 20 ms gaps", speech(), mono, 4, 6.3 / 21),
        ("music, 5 ms gaps", melody.render(), stereo, 1, 8.1 / 26),
        ("music, 20 ms gaps", melody.render(), stereo, 4, 8.1 / 26),
    )
    print(
        f"{'distance dB / clicks dB':<20}"
        + "".join(f"{name:>16}" for name in SCHEMES)
        + f"{'of silence':>12}{'<=':>6}"
    )
    for name, whole, fmt, run, most in materials:
        pcm = whole[: len(whole) // fmt.block_bytes * fmt.block_bytes]
        row = []
        for play in SCHEMES.values():
            found = []
            for seed in range(seeds):
                lost = losses(len(pcm) // fmt.block_bytes, run, seed)
                out = b"".join(play(pcm, lost, fmt))
                assert len(out) == len(pcm)
                found.append(compare(pcm, out, lost, fmt))
            row.append(np.mean(found, axis=0))
        # The distance depends on the material; its share of that of silence hardly does.
        of_silence = row[0][0] / row[list(SCHEMES).index("silence")][0]
        verdict = "ok" if of_silence <= most and row[0][1] <= MOST_CLICKS_DB else "MISSED"
        cells = "".join(f"{d:9.1f} /{c:+5.1f}" for d, c in row)
        print(f"{name:<20}{cells}{of_silence:12.2f}{most:6.2f}  {verdict}", flush=True)


def pulled_gap(history: bytes, gap_blocks: int, fmt: Format) -> tuple[float, float]:
    """A gap and its end: microseconds in all, and of the slowest call."""
    concealer = Concealer(fmt)
    concealer.remember(history)
    block = history[: fmt.block_bytes]
    calls: list[float] = []
    seam_blocks = -(-duration_frames(SEAM_MS, fmt) // fmt.block_frames)
    while len(calls) < gap_blocks + seam_blocks:
        begin = time.thread_time_ns()
        if len(calls) < gap_blocks:
            concealer.conceal(fmt.block_frames)
        else:
            concealer.resume(block)
        calls.append((time.thread_time_ns() - begin) / 1000)
    return sum(calls), max(calls)


def pushed_gap(history: bytes, frames: int, fmt: Format) -> tuple[float, float]:
    """A gap filled: microseconds in all, and of the slowest piece."""
    pieces = fill(history, frames, history[: fmt.block_bytes], fmt)
    calls: list[float] = []
    more = True
    while more:
        begin = time.thread_time_ns()
        more = next(pieces, None) is not None
        calls.append((time.thread_time_ns() - begin) / 1000)
    return sum(calls), max(calls)


def least(gap: Callable[[], tuple[float, float]], rounds: int) -> tuple[float, float]:
    """The least of each figure: what the work costs when nothing disturbs it."""
    total, slowest = np.min([gap() for _ in range(rounds)], axis=0)
    return float(total), float(slowest)


FORMATS = (
    (48_000, 2),
    (44_100, 1),
    (8_000, 1),
    (8_000, 8),
    (48_000, 8),
    (192_000, 2),
    (192_000, 8),
)


def sample_sound(fmt: Format) -> bytes:
    """50 ms of a hum in noise: nothing about it is easy."""
    frames = fmt.rate // 20
    noise = np.random.RandomState(1).randint(-3_000, 3_000, (frames, fmt.channels))
    hum = 9_000 * np.sin(2 * np.pi * 220 / fmt.rate * np.arange(frames))
    return bytes((hum[:, None] + noise).astype("<i2").tobytes())


def costs(fmt: Format, rounds: int) -> list[tuple[float, float]]:
    """Of gaps of 5, 20 and 60 ms pulled, and of 5 ms, 60 ms and 2 s pushed."""
    history = sample_sound(fmt)

    def pull(duration_ms: int) -> tuple[float, float]:
        gap_blocks = -(-fmt.rate * duration_ms // 1000 // fmt.block_frames)
        return least(lambda: pulled_gap(history, gap_blocks, fmt), rounds)

    def push(duration_ms: int) -> tuple[float, float]:
        return least(lambda: pushed_gap(history, fmt.rate * duration_ms // 1000, fmt), rounds)

    return [pull(5), pull(20), pull(60), push(5), push(60), push(2_000)]


def remember_us(fmt: Format) -> float:
    """What a block costs where nothing is missing."""
    concealer, block = Concealer(fmt), bytes(fmt.block_bytes)
    return mean_us(lambda: concealer.resume(block), 2_000, 3)


def print_costs(rounds: int) -> None:
    """Microseconds of a gap, of its slowest call, and of remembering a block."""
    block = bytearray(960)
    copy_us = mean_us(lambda: bytes(block), 20_000, 5)
    columns = ("pulled 5 ms", "20 ms", "60 ms", "pushed 5 ms", "60 ms", "2 s")
    print(
        f"\n{'us, slowest call, copies':<26}" + "".join(f"{name:>22}" for name in columns), end=""
    )
    print(f"{'no gap':>10}")
    for rate, channels in FORMATS:
        fmt = Format.for_blocks(rate=rate, channels=channels, block_ms=5)
        cells = [
            f"{total:7.0f}{slowest:5.0f}{total / copy_us:8.0f} x"
            for total, slowest in costs(fmt, rounds)
        ]
        name = f"{rate:>7} Hz {channels} ch{fmt.block_frames:>5} frames"
        print(name + "".join(cells) + f"{remember_us(fmt):10.2f}", flush=True)
    print(f"a copy: 960 bytes, {copy_us:.2f} us")


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the work")
    quick = parser.parse_args().quick
    print_quality(1 if quick else 4)
    print_costs(10 if quick else 40)


if __name__ == "__main__":
    main()
