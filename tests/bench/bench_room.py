"""A room of 16: an hour of it under a virtual clock, and what a mix costs.

    python -m tests.bench.bench_room [--quick]

The hour has losses on every way and clocks up to 400 ppm apart; one of the 16 listens
(with --quick for two minutes). Costs are of one pull of 5 ms in the thread's processor
time, everything included: what came since the last one, each talker's jitter buffer, its
drift, the sum.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from echowarp.media.format import Format
from tests.app.mixing import MONO, MS, STEREO, Stage, Talking, noise
from tests.simulation.room import Room

WARM_S, MEASURED_S = 8, 4
LOSS, PPM = 0.01, 200
TARGET_NS = 150 * MS
MOST_NS = 1 * MS
CD = Format(rate=44_100, channels=1, block_frames=220)
PHONE = Format(rate=8_000, channels=1, block_frames=40)


def sound(user: int, fmt: Format) -> Callable[[int], bytes]:
    return lambda k: noise(1000 * user + k % 50, fmt.block_bytes)


def silence(user: int, fmt: Format) -> Callable[[int], bytes | None]:
    """A word at first, then the block that says silence."""
    return lambda k: sound(user, fmt)(k) if k < 40 else b"" if k % 200 == 40 else None


def pull_us(talkers: int, fmt: Format, ppm: float, *, silent: bool = False) -> list[float]:
    """What each pull cost, in order of size."""
    stage = Stage(keep=False)
    for user in range(1, talkers + 1):
        own_ppm = ppm if user % 2 else -ppm
        made = silence(user, fmt) if silent and user > 1 else sound(user, fmt)
        stage.hear(Talking(user, fmt, own_ppm, sound=made, unsaid=True))
    stage.run(WARM_S)
    costs: list[float] = []
    pull = stage.card.pull
    assert pull is not None

    def timed(frames: int) -> bytes:
        begun_ns = time.thread_time_ns()
        pcm = pull(frames)
        costs.append((time.thread_time_ns() - begun_ns) / 1000)
        return pcm

    stage.card.pull = timed
    stage.run(MEASURED_S)
    return sorted(costs)


def show_costs() -> None:
    print(f"{'one pull of 5 ms, 48000 Hz stereo':<44}{'median us':>10}{'99 %':>8}{'core':>9}")
    rows = [
        ("1 talker, no drift", 1, STEREO, 0.0, False),
        ("1 talker", 1, STEREO, 100.0, False),
        ("8 talkers, no drift", 8, STEREO, 0.0, False),
        ("8 talkers", 8, STEREO, 100.0, False),
        ("8 talkers, mono", 8, MONO, 100.0, False),
        ("16 talkers", 16, STEREO, 100.0, False),
        ("16 talkers, one of whom speaks", 16, STEREO, 100.0, True),
        ("4 talkers, 44100 Hz mono", 4, CD, 100.0, False),
        ("4 talkers, 8000 Hz mono", 4, PHONE, 100.0, False),
    ]
    for name, talkers, fmt, ppm, silent in rows:
        costs = pull_us(talkers, fmt, ppm, silent=silent)
        median, most = costs[len(costs) // 2], costs[len(costs) * 99 // 100]
        mean = sum(costs) / len(costs)
        print(f"{name:<44}{median:10.0f}{most:8.0f}{mean / 50:7.1f} %")


def show_room(minutes: int) -> bool:
    """Whether it went as it should."""
    room = Room(16, listeners=1, loss=LOSS, ppm=PPM, latency=TARGET_NS)
    begun_s = time.process_time()
    room.run(60)
    room.settled = True
    room.run(60 * (minutes - 1))
    counters, worst_ns = room.heard(), max(room.worst_ns.values())
    print(
        f"room of 16, {minutes} min, {100 * LOSS:g} % lost on every way, clocks to {2 * PPM} ppm"
        f" apart: {counters.received} blocks heard, {counters.concealed} concealed"
        f" ({100 * counters.concealed / counters.received:.3f} %),"
        f" at most {worst_ns / MS:.2f} ms from the target;"
        f" {time.process_time() - begun_s:.0f} s of processor time"
    )
    return counters.concealed <= 0.002 * counters.received and worst_ns < 3 * MOST_NS


def main() -> int:
    """Prints both. Returns 1 where the room did not go well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes instead of the hour")
    minutes = 2 if parser.parse_args().quick else 60
    show_costs()
    return 0 if show_room(minutes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
