"""The pulled playout under a virtual clock, with a sound card of its own speed."""

from __future__ import annotations

import random

import pytest

from echowarp.media.format import Format
from echowarp.media.pulled_playout import PulledPlayout, State

FMT = Format(rate=48_000, channels=1, block_frames=240)
BLOCK_NS = FMT.block_ns
TARGET_NS = 60_000_000
BASE = 2**32 - 100


def block(k: int) -> bytes:
    return random.Random(k).randbytes(FMT.block_bytes)


def made(target_ns: int = TARGET_NS) -> PulledPlayout:
    return PulledPlayout(FMT, first_seq=BASE, first_time=BASE, target_ns=target_ns)


def put(playout: PulledPlayout, k: int) -> None:
    playout.put(BASE + k, BASE + k * 240, block(k))


class Run:
    """Blocks at their arrival times against a card that pulls `period` frames at a time."""

    def __init__(self, arrivals: list[tuple[float, int]], period: int = 240, ppm: float = 0):
        self.playout = made()
        self.out = bytearray()
        self.levels: list[int] = []
        self._arrivals = sorted(arrivals)
        self._period = period
        self._step_ns = period / 48_000 * 1e9 / (1 + ppm / 1e6)

    def play(self, seconds: float) -> bytes:
        now_ns, waiting = 0.0, iter([*self._arrivals, (1e30, -1)])
        at_ns, k = next(waiting)
        while now_ns < seconds * 1e9:
            while at_ns <= now_ns:
                put(self.playout, k)
                at_ns, k = next(waiting)
            self.out += self.playout.pull(self._period)
            self.levels.append(self.playout.buffered_frames)
            now_ns += self._step_ns
        return bytes(self.out)


def clean(total: int) -> bytes:
    return b"".join(block(k) for k in range(total))


@pytest.mark.parametrize("period", [64, 240, 256, 480, 1000])
def test_a_stream_without_loss_is_bit_exact(period: int) -> None:
    run = Run([(k * BLOCK_NS, k) for k in range(400)], period)
    out = run.play(1.8)
    lead = out.index(block(0))
    assert not any(out[:lead])
    assert lead / 2 / 48 <= 60 + 5 + period / 48 + 1
    body = out[lead : lead + 300 * FMT.block_bytes]
    assert body == clean(400)[: len(body)]
    assert run.playout.counters.concealed == 0


def test_jitter_within_the_target_is_not_heard() -> None:
    rng = random.Random(5)
    run = Run([(k * BLOCK_NS + rng.uniform(0, 50e6), k) for k in range(1000)])
    out = run.play(4.9)
    start = out.index(block(0))
    assert out[start : start + 900 * 480] == clean(900)
    assert run.playout.counters.reordered > 0


def test_a_missing_block_is_a_faded_gap_at_its_place() -> None:
    run = Run([(k * BLOCK_NS, k) for k in range(400) if k not in (50, 90, 91)])
    out = run.play(1.5)
    start = out.index(block(0))
    assert out[start : start + 50 * 480] == clean(50)
    gap = out[start + 50 * 480 : start + 51 * 480]
    assert not any(gap[200:])
    after = out[start + 51 * 480 : start + 52 * 480]
    assert after[96 * 2 :] == block(51)[96 * 2 :]
    assert out[start + 93 * 480 : start + 94 * 480] == block(93)
    assert run.playout.counters.concealed == 3


def test_after_an_outage_the_delay_is_what_it_was() -> None:
    held = [(3e9 if 1e9 < k * BLOCK_NS < 3e9 else k * BLOCK_NS, k) for k in range(1000)]
    run = Run(held)
    run.play(4.5)
    before, after = run.levels[150], run.levels[-1]
    assert abs(after - before) <= 2 * 240
    assert run.playout.state is State.PLAYING
    assert run.playout.counters.concealed == pytest.approx(400, abs=15)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_card_of_another_speed_neither_runs_away_nor_starves_for_long(ppm: int) -> None:
    seconds = 400
    run = Run([(k * BLOCK_NS, k) for k in range(seconds * 200)], ppm=ppm)
    run.play(seconds - 1)
    late_ms = max(run.levels[2000:]) / 48
    assert late_ms <= 60 + 20 + 5 + 5
    assert run.playout.counters.concealed < 60


def test_the_end_plays_to_the_last_block_and_is_silent_then() -> None:
    playout = made()
    for k in range(30):
        put(playout, k)
    playout.end(BASE + 30)
    assert playout.complete
    out = playout.pull(240 * 40)
    assert out[: 30 * 480] == clean(30)
    assert not any(out[30 * 480 + 2 * 96 :])
    assert playout.state is State.FINISHED
    assert playout.counters.concealed == 0


def test_a_short_stream_plays_though_it_never_fills_the_target() -> None:
    playout = made()
    put(playout, 0)
    playout.end(BASE + 1)
    assert playout.pull(240) == block(0)


def test_an_end_whose_last_blocks_were_lost_finishes() -> None:
    playout = made()
    for k in range(20):
        put(playout, k)
    playout.end(BASE + 25)
    playout.pull(240 * 40)
    assert playout.state is State.FINISHED
    assert playout.counters.concealed == 5


def test_an_end_without_any_block_finishes() -> None:
    playout = made()
    playout.end(BASE)
    assert not any(playout.pull(480))
    assert playout.state is State.FINISHED
