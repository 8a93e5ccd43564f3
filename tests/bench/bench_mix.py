"""Mixing and gain in lanes beside the same work sample by sample.

    python -m tests.bench.bench_mix [--quick]

Costs are of a block of 240 frames of stereo (5 ms at 48 kHz) in this thread's processor
time, the mean of the best of several rounds. Every result is compared with the slow one.
"""

from __future__ import annotations

import argparse
import random
import struct
from array import array
from collections.abc import Callable

from echowarp.media.format import Format
from echowarp.media.gain import apply_gain, ramp_gain
from echowarp.media.mix import mix
from tests.bench.bench_resampler import BLOCK_US, mean_us

SAMPLES = 480
STEREO = Format(rate=48_000, channels=2, block_frames=240)


def slow_mix(blocks: list[bytes]) -> bytes:
    """The sum by `map`, the quickest that plain Python does sample by sample."""
    sums = map(sum, zip(*[array("h", block) for block in blocks], strict=True))
    clipped = [
        value if -32768 <= value <= 32767 else max(-32768, min(32767, value)) for value in sums
    ]
    return array("h", clipped).tobytes()


def slow_gain(pcm: bytes, gain: float) -> bytes:
    bits = 16 if gain <= 1 else 14
    factor, half = round(gain * (1 << bits)), 1 << bits - 1
    scaled = [(sample * factor + half) >> bits for sample in array("h", pcm)]
    return array("h", [max(-32768, min(32767, value)) for value in scaled]).tobytes()


def noise(seed: int, peak: int) -> bytes:
    rng = random.Random(seed)
    return struct.pack(f"<{SAMPLES}h", *[rng.randint(-peak, peak) for _ in range(SAMPLES)])


def mixed_with_gains(blocks: list[bytes], gain: float) -> bytes:
    return mix([apply_gain(block, gain) for block in blocks])


Row = tuple[str, Callable[[], bytes], Callable[[], bytes]]


def rows() -> list[Row]:
    """What is measured: a name, ours, the same sample by sample."""
    made: list[Row] = []
    for count in (2, 4, 8, 16):
        for loudness, peak in (("", 32767 // count), (", clipping", 32767)):
            blocks = [noise(seed, peak) for seed in range(count)]
            made.append(
                (
                    f"mix {count} talkers{loudness}",
                    lambda blocks=blocks: mix(blocks),  # type: ignore[misc]
                    lambda blocks=blocks: slow_mix(blocks),  # type: ignore[misc]
                )
            )
    loud = noise(1, 32767)
    made += [
        (
            f"gain {gain}",
            lambda gain=gain: apply_gain(loud, gain),  # type: ignore[misc]
            lambda gain=gain: slow_gain(loud, gain),  # type: ignore[misc]
        )
        for gain in (0.5, 1.5)
    ]
    eight = [noise(seed, 32767) for seed in range(8)]
    made.append(
        (
            "8 talkers, each with a gain",
            lambda: mixed_with_gains(eight, 0.5),
            lambda: slow_mix([slow_gain(block, 0.5) for block in eight]),
        )
    )
    return made


def main() -> None:
    """Prints the table; raises AssertionError where lanes and samples differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    calls = 40 if parser.parse_args().quick else 400
    block = bytearray(2 * SAMPLES)
    copy_us = mean_us(lambda: bytes(block), 20_000, 5)
    print(f"{'stereo block of 240 frames':<30}{'us':>8}{'core':>9}{'copies':>10}{'per sample':>13}")
    for name, quick, slow in rows():
        assert quick() == slow(), name
        cost, other = mean_us(quick, calls, 5), mean_us(slow, calls // 10, 5)
        print(
            f"{name:<30}{cost:8.1f}{100 * cost / BLOCK_US:7.2f} %{cost / copy_us:8.0f} x"
            f"{100 * other / BLOCK_US:11.2f} %"
        )
    block_to_ramp = noise(1, 32767)
    cost = mean_us(lambda: ramp_gain(block_to_ramp, STEREO, 1.0, 0.5), calls // 10, 5)
    print(f"{'ramp of gain (as it changes)':<30}{cost:8.1f}{100 * cost / BLOCK_US:7.2f} %")


if __name__ == "__main__":
    main()
