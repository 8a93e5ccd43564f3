"""Rooms: what repair and delay make of two lossy ways, an hour of 16, what a mix costs.

    python -m tests.bench.bench_rooms [--quick]

The first table is simulated: a talker, a network, the relay, a network of the same kind, a
listener who mixes; beside it the one-way stream through one such network. Delay is above
the fastest path and holds the card's two periods (10 ms); missing is what was concealed.
Both are of all talkers, from 20 s on. `<=` is the delay that the design found on one way and
a fifth more, the card's periods on top, and twice the missing blocks that are asked for
there: two ways are to cost no more delay than one may.

The hour has losses on every way and clocks up to 400 ppm apart; one of the 16 listens.
--quick: a tenth of the networks' time, in which a block is too large a share for a verdict,
and two minutes of the hour.

Costs are of one pull of 5 ms in the thread's processor time, everything included: what came
since the last one, each talker's jitter buffer, its drift, the sum; `core` is its share.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from echowarp.app.talker_playback import PERIODS
from echowarp.media.format import NS_PER_S, Format
from tests.app.mixing import MONO, MS, STEREO, Stage, Talking, noise
from tests.simulation.engine_model import Network, wifi_jitter
from tests.simulation.room import LAN, NOTHING, Room

TALKERS = 8
SECONDS, QUICK_SECONDS = 300.0, 30.0
SETTLE_S = 20.0
FINE = Format(rate=8_000, channels=1, block_frames=40)
"""Blocks of 5 ms, of which only the number counts."""
CARD_MS = PERIODS * FINE.block_ns / MS

WARM_S, MEASURED_S = 8, 4
LOSS, PPM = 0.01, 200
TARGET_NS = 150 * MS
MOST_PERCENT, MOST_NS = 0.2, 3 * MS
"""Of the hour: a tenth of what is lost on the two ways; how far from the target."""
CD = Format(rate=44_100, channels=1, block_frames=220)
PHONE = Format(rate=8_000, channels=1, block_frames=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A network, what the design found in it on one way, and what may be missing there."""

    name: str
    network: Network
    delay_ms: float
    missing_percent: float


def _net(loss: float, round_trip_ms: int) -> Network:
    return Network(loss=loss, round_trip_ns=round_trip_ms * MS, jitter=wifi_jitter)


ROWS = (
    Row(name="5 %, RTT 2, Wi-Fi", network=_net(0.05, 2), delay_ms=42, missing_percent=0.001),
    Row(name="10 %, RTT 2, Wi-Fi", network=_net(0.1, 2), delay_ms=47, missing_percent=0.01),
    Row(name="5 %, RTT 80, Wi-Fi", network=_net(0.05, 80), delay_ms=46, missing_percent=0.01),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """mean_ms: delay over all talkers; most_ms: of the one whose is longest; missing: of all
    blocks, percent."""

    mean_ms: float
    most_ms: float
    missing_percent: float


def listen(talkers: int, up: Network, down: Network, seconds: float) -> Found:
    """What one of so many hears of the others."""
    room = Room(talkers, listeners=1, fmt=FINE, up=up, down=down)
    room.run(SETTLE_S)
    room.settled = True
    before = room.blocks()
    room.run(seconds)
    after = room.blocks()
    means_ms = [each.sum_ns / each.count / MS for each in room.delays.values()]
    assert len(means_ms) == talkers - 1
    return Found(
        mean_ms=sum(means_ms) / len(means_ms),
        most_ms=max(means_ms),
        missing_percent=100
        * (after.concealed - before.concealed)
        / (seconds * NS_PER_S / FINE.block_ns * (talkers - 1)),
    )


def show_networks(seconds: float, *, is_judged: bool) -> None:
    """Prints the room beside the one-way stream, in each network."""
    print(
        f"{f'room of {TALKERS}, simulated':24}{'delay ms':>9}{'most':>7}{'<=':>5}"
        f"{'missing %':>11}{'<=':>7}{'one way: ms':>13}{'missing %':>11}"
    )
    for row in ROWS:
        alone = listen(2, NOTHING, row.network, seconds)
        found = listen(TALKERS, row.network, row.network, seconds)
        most_ms, most_percent = 1.2 * row.delay_ms + CARD_MS, 2 * row.missing_percent
        reached = found.mean_ms <= most_ms and found.missing_percent <= most_percent
        verdict = "" if not is_judged else "ok" if reached else "MISSED"
        print(
            f"{row.name:24}{found.mean_ms:9.1f}{found.most_ms:7.1f}{most_ms:5.0f}"
            f"{found.missing_percent:11.4f}{most_percent:7g}{alone.mean_ms:13.1f}"
            f"{alone.missing_percent:11.4f}  {verdict}",
            flush=True,
        )


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
        print(f"{name:<44}{median:10.0f}{most:8.0f}{mean / 50:7.1f} %", flush=True)


def show_room(minutes: int) -> None:
    """Prints how a room of 16 went."""
    lossy = replace(LAN, loss=LOSS)
    room = Room(16, listeners=1, up=lossy, down=lossy, ppm=PPM, latency=TARGET_NS)
    begun_s = time.process_time()
    room.run(60)
    room.settled = True
    room.run(60 * (minutes - 1))
    counters = room.blocks()
    worst_ns = max(each.worst_ns for each in room.delays.values())
    percent = 100 * counters.concealed / counters.received
    reached = percent <= MOST_PERCENT and worst_ns <= MOST_NS and len(room.delays) == 15
    print(
        f"room of 16, {minutes} min, {100 * LOSS:g} % lost on every way, clocks to {2 * PPM} ppm"
        f" apart: {counters.received} blocks, {percent:.4f} % concealed (<= {MOST_PERCENT:g}),"
        f" at most {worst_ns / MS:.2f} ms from the target (<= {MOST_NS / MS:g});"
        f" {time.process_time() - begun_s:.0f} s of processor time"
        f"  {'ok' if reached else 'MISSED'}"
    )


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rougher, within a minute")
    parser.add_argument("--seconds", type=float, help="of each network")
    parser.add_argument("--minutes", type=int, help="of the hour")
    arguments = parser.parse_args()
    quick = arguments.quick
    seconds = arguments.seconds or (QUICK_SECONDS if quick else SECONDS)
    show_networks(seconds, is_judged=not quick)
    print()
    show_room(arguments.minutes or (2 if quick else 60))
    print()
    show_costs()


if __name__ == "__main__":
    main()
