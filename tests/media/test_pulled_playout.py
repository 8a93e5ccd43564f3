"""The pulled playout under a virtual clock, with a sound card of its own speed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from statistics import fmean

import pytest

from echowarp.media.format import Format
from echowarp.media.pull_line import PullLine
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.media.target import AUTO, TargetDelay

FMT = Format(rate=48_000, channels=1, block_frames=240)
COARSE = Format(rate=8_000, channels=1, block_frames=160)
"""For runs of an hour: the clocks do not care how much sound there is between."""
MS = 1_000_000
S = 1_000 * MS
TARGET_NS = 40 * MS
BASE = 2**32 - 100


@cache
def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def block(k: int, fmt: Format = FMT) -> bytes:
    return noise(k % 1000, fmt.block_bytes)


def clean(total: int) -> bytes:
    return b"".join(block(k) for k in range(total))


def steady(seconds: float, jitter: Callable[[int], float] = lambda k: 0.0) -> list[float]:
    """When each block comes, ms; jitter: of block k, ms."""
    return [k * 5 + jitter(k) for k in range(round(seconds * 200))]


def uniform(most_ms: float) -> Callable[[int], float]:
    return lambda k: random.Random(k).uniform(0, most_ms)


class Card:
    """Pulls `period` frames at a time from `start_ms` on, `ppm` too fast; stall: it does
    not pull between these ms. arrivals: when block k comes, ms; None for never.
    target_ns: fixed; None for the automatic one. uneven_ms: how late a call may be."""

    def __init__(
        self,
        arrivals: Iterable[float | None],
        *,
        fmt: Format = FMT,
        period: int = 240,
        ppm: float = 0.0,
        start_ms: float = 40.0,
        stall: tuple[float, float] | None = None,
        target_ns: int | None = TARGET_NS,
        uneven_ms: float = 0.0,
    ) -> None:
        self.out = bytearray()
        self.now_ns = start_ms * MS
        self.delays_ms: list[tuple[float, float]] = []
        """Once a second: the time in s, and when the next frame leaves after its capture."""
        self.concealed_at_s: list[float] = []
        self._arrivals = sorted((ms * MS, k) for k, ms in enumerate(arrivals) if ms is not None)
        self._next = 0
        self._even_ns = self.now_ns
        self._unevenness = random.Random(1)
        self._uneven_ns = uneven_ms * MS
        self._fmt = fmt
        self._period = period
        self._step_ns = period / fmt.rate * S / (1 + ppm / 1e6)
        self._stall = (0.0, 0.0) if stall is None else (stall[0] * MS, stall[1] * MS)
        self._line = PullLine(fmt)
        period_ns = fmt.frames_to_ns(period)
        policy = AUTO if target_ns is None else target_ns
        self.target = TargetDelay(policy, period_ns=period_ns, now_ns=0)
        self.playout = PulledPlayout(
            fmt,
            first_seq=BASE,
            first_time=BASE,
            target_ns=self.target.target_ns,
            line=self._line,
            now_ns=0,
            fixed=target_ns is not None,
        )

    def play(self, seconds: float) -> bytes:
        while self.now_ns < seconds * S:
            self._receive()
            self._pull()
            self._even_ns += self._step_ns
            if self._stall[0] <= self._even_ns < self._stall[1]:
                self._even_ns = self._stall[1]
            self.now_ns = self._even_ns + self._unevenness.uniform(0, self._uneven_ns)
        return bytes(self.out)

    def _receive(self) -> None:
        fmt, arrivals = self._fmt, self._arrivals
        while self._next < len(arrivals) and arrivals[self._next][0] <= self.now_ns:
            at_ns, k = arrivals[self._next]
            self._next += 1
            frames = k * fmt.block_frames
            self.target.usable(round(at_ns) - fmt.frames_to_ns(frames), round(at_ns))
            self.playout.put(BASE + k, BASE + frames, block(k, fmt), round(at_ns), by_itself=True)

    def _pull(self) -> None:
        playout, fmt = self.playout, self._fmt
        if playout.state is State.PLAYING and self.now_ns >= len(self.delays_ms) * S:
            captured_ns = fmt.frames_to_ns(playout.position - BASE)
            self.delays_ms.append((self.now_ns / S, (self.now_ns - captured_ns) / MS))
        before = playout.counters.concealed
        playout.set_target(self.target.target_ns)
        self.out += playout.pull(self._period, round(self.now_ns))
        self._line.pulled(self._period, round(self.now_ns))
        if playout.counters.concealed > before:
            self.concealed_at_s.append(self.now_ns / S)

    def delays_after(self, seconds: float) -> list[float]:
        return [delay_ms for at_s, delay_ms in self.delays_ms if at_s >= seconds]

    def concealed_after(self, seconds: float) -> int:
        return sum(at_s >= seconds for at_s in self.concealed_at_s)


@pytest.mark.parametrize("period", [64, 240, 256, 480, 1000])
def test_until_the_first_correction_every_bit_is_as_sent(period: int) -> None:
    card = Card(steady(2), period=period)
    out = card.play(1.0)
    assert out == clean(200)[: len(out)]
    assert card.playout.counters.concealed == 0


@pytest.mark.parametrize("period", [64, 240, 256, 480, 1000])
def test_any_period_plays_without_a_gap(period: int) -> None:
    card = Card(steady(20, uniform(0.5)), period=period, target_ns=None)
    card.play(19.9)
    assert card.playout.counters.concealed == 0
    assert card.playout.counters.received > 3_900
    assert max(card.delays_after(15)) <= period / 48 + 2 + 2


def test_on_a_quiet_lan_the_delay_is_small_and_nothing_is_concealed() -> None:
    card = Card(steady(60, uniform(0.5)), target_ns=None)
    card.play(59)
    assert card.playout.counters.concealed == 0
    assert fmean(card.delays_after(20)) <= 8.5


def test_with_jitter_the_target_grows_and_concealment_stops() -> None:
    card = Card(steady(60, uniform(40)), target_ns=None)
    card.play(59)
    assert 40 * MS < card.target.target_ns < 60 * MS
    assert card.playout.counters.reordered > 1_000
    assert card.playout.counters.concealed <= 10
    assert card.concealed_after(30) == 0


def test_a_fixed_target_that_is_too_small_is_kept_though_it_is_heard() -> None:
    card = Card(steady(30, uniform(40)), target_ns=20 * MS)
    card.play(29)
    assert card.target.target_ns == 20 * MS < card.target.needed_ns
    assert fmean(card.delays_after(5)) <= 25
    assert max(card.delays_after(5)) <= 35
    assert card.concealed_after(10) > 100


def test_where_a_stall_emptied_the_buffer_a_fixed_delay_is_what_it_was() -> None:
    held = [k * 5.0 if not 300 <= k < 330 else 330 * 5.0 for k in range(2400)]
    card = Card(held)
    card.play(11)
    assert all(abs(delay - 40) <= 3 for delay in card.delays_after(2))
    assert card.concealed_after(1.8) == 0


@pytest.mark.parametrize("offset_ms", [0.0, 1.3, 4.9])
@pytest.mark.parametrize("period", [64, 240, 256])
def test_a_sound_begins_at_the_target_and_keeps_its_speed(period: int, offset_ms: float) -> None:
    """Whatever the phase of the card; its first 2 ms are faded in."""
    card = Card(steady(2), period=period, start_ms=offset_ms)
    out = card.play(1.9)
    start = out.index(block(0)[192:]) - 192
    assert start / 96 + offset_ms == pytest.approx(40, abs=0.05)
    assert out[start + 192 :] == clean(400)[192 : len(out) - start]
    assert card.playout.counters.concealed == 0


@pytest.mark.parametrize("uneven_ms", [0.0, 2.0])
def test_periods_that_are_no_blocks_cost_no_delay(uneven_ms: float) -> None:
    """As JACK calls: 256 frames at a time, for blocks of 240."""
    card = Card(steady(30), period=256, target_ns=12 * MS, uneven_ms=uneven_ms)
    card.play(29)
    assert card.playout.counters.concealed == 0
    assert max(card.delays_after(5)) <= 12 + 2.1 * uneven_ms + 0.6


@pytest.mark.parametrize("ppm", [-200, 200])
def test_an_hour_with_clocks_200_ppm_apart(ppm: int) -> None:
    """Uncorrected, 720 ms."""
    arrivals = [k * 20.0 for k in range(3600 * 50)]
    card = Card(arrivals, fmt=COARSE, period=160, ppm=ppm, start_ms=60.0, target_ns=60 * MS)
    card.play(3599)
    assert card.playout.counters.concealed == 0
    assert card.playout.counters.received >= 3598 * 50
    delays = card.delays_after(120)
    assert len(delays) > 3400
    assert max(delays) - min(delays) <= 0.5
    assert abs(card.playout.drift.error_ns) <= 0.25 * MS
    assert card.playout.drift.correction_ppm == pytest.approx(-ppm, abs=1)


@pytest.mark.parametrize("ppm", [-900, 900])
def test_clocks_900_ppm_apart_neither_starve_nor_run_away(ppm: int) -> None:
    card = Card(steady(120), ppm=ppm)
    card.play(119)
    assert card.playout.counters.concealed == 0
    assert all(abs(delay - 40) <= 7.5 for delay in card.delays_after(1))
    assert all(abs(delay - 40) <= 2 for delay in card.delays_after(90))


def test_losses_are_concealed_in_their_place_and_all_else_is_exact() -> None:
    gone = (50, 90, 91)
    card = Card([None if k in gone else k * 5.0 for k in range(400)])
    out = card.play(1.0)
    for k in range(len(out) // FMT.block_bytes):
        piece = out[k * 480 : (k + 1) * 480]
        if k in gone:
            assert len(piece) == 480 and piece != block(k)
        else:
            # The seam lies in what comes after a gap.
            seam = 2 * 96 if k - 1 in gone else 0
            assert piece[seam:] == block(k)[seam:]
    assert card.playout.counters.concealed == 3
    card.playout.finish()
    assert card.playout.counters.lost == 3


def test_a_block_that_is_late_makes_the_delay_grow_at_once() -> None:
    """It is waited for: what fills the gap takes the place of nothing."""
    card = Card([k * 5.0 if k < 300 else k * 5.0 + 20 for k in range(4000)], target_ns=None)
    card.play(19)
    counters = card.playout.counters
    assert (counters.lost, counters.late) == (0, 0)
    assert counters.concealed <= 6
    assert card.concealed_after(2) == 0


@pytest.mark.parametrize("held", [False, True], ids=["lost", "held back"])
def test_after_an_outage_the_delay_is_what_it_was(held: bool) -> None:
    """Once the network loses all for two seconds, once it gives all of it at the end."""
    arrivals = [
        k * 5.0 if not 2000 < k * 5 < 4000 else 4000.0 if held else None for k in range(2400)
    ]
    card = Card(arrivals)
    card.play(11.9)
    (before,) = (delay for at_s, delay in card.delays_ms if 1 <= at_s < 2)
    assert card.delays_after(5)[0] == pytest.approx(before, abs=25)
    assert card.delays_after(11)[-1] == pytest.approx(before, abs=3)
    assert card.playout.state is State.PLAYING
    assert card.playout.counters.concealed == pytest.approx(400, abs=15)
    assert card.concealed_after(4.2) == 0


@pytest.mark.parametrize("stall_ms", [50.0, 100.0, 180.0, 300.0, 1200.0, 10_000.0])
def test_a_card_that_stood_still_plays_on_with_the_right_delay(stall_ms: float) -> None:
    card = Card(steady(60), stall=(10_000.0, 10_000.0 + stall_ms))
    card.play(59)
    over_s = 10 + stall_ms / 1000
    assert card.playout.counters.concealed == pytest.approx(stall_ms / 5, abs=10)
    assert card.concealed_after(over_s + 1) == 0
    assert all(abs(delay - 40) <= 6 for delay in card.delays_after(over_s + 1))
    assert abs(card.playout.drift.correction_ppm) < 50


def test_a_smaller_target_is_approached_unheard() -> None:
    card = Card(steady(30), target_ns=None, start_ms=40.0)
    card.play(29)
    delays = [delay for _, delay in card.delays_ms]
    assert card.playout.counters.concealed == 0
    assert delays[-1] <= 8.5
    assert all(0 <= a - b <= 3.5 for a, b in pairwise(delays[3:]) if a > 9)


def ready(blocks: int) -> Card:
    card = Card([0.0] * blocks, start_ms=0)
    card._receive()
    return card


def test_the_end_plays_to_the_last_block_and_is_silent_then() -> None:
    card = ready(30)
    card.playout.end(BASE + 30)
    assert card.playout.complete
    out = card.playout.pull(240 * 60, 0)
    assert out[: 30 * 480] == clean(30), "an end that is known is no reason to hurry"
    assert 30 < len(out.rstrip(b"\0")) / 480 < 31
    assert card.playout.state is State.FINISHED
    assert card.playout.counters.concealed == 0
    assert not any(card.playout.pull(4800, 300 * MS))


def test_a_stream_that_ends_in_its_course_is_heard_to_its_last_block() -> None:
    card = Card(steady(1))
    card.play(0.9)
    card.playout.end(BASE + 200)
    card.play(1.5)
    assert card.playout.state is State.FINISHED
    assert card.playout.counters.concealed == 0
    assert bytes(card.out[: 200 * 480]) == clean(200)
    fall = card.out[200 * 480 :]
    assert any(fall[:100]) and not any(fall[2 * 2 * 48 :])


def test_a_short_stream_plays_at_its_time_and_speed_though_it_never_fills_the_target() -> None:
    card = ready(1)
    card.playout.end(BASE + 1)
    out = card.playout.pull(240 * 11, 0)
    start = 8 * 480
    assert not any(out[:start])
    blended = 2 * 96
    assert out[start + blended : start + 480] == block(0)[blended:]
    fall = out[start + 480 :]
    assert any(fall[:100]) and not any(fall[2 * 2 * 48 :])


def test_an_end_whose_last_blocks_were_lost_finishes() -> None:
    card = ready(20)
    card.playout.end(BASE + 25)
    card.playout.pull(240 * 60, 0)
    assert card.playout.state is State.FINISHED
    assert card.playout.counters.concealed == 5


def test_an_end_without_any_block_finishes() -> None:
    card = Card([])
    card.playout.end(BASE)
    assert not any(card.playout.pull(480, 0))
    assert card.playout.state is State.FINISHED


def test_due_is_when_the_next_block_leaves() -> None:
    """Requests depend on it: what cannot come before that is not asked for."""
    card = Card(steady(2))
    card.play(1.0)
    ahead_ms = (card.playout.due_ns() - card.now_ns) / MS
    assert 0 <= ahead_ms <= 5
    assert card.playout.next_seq == BASE + 192


class Turns:
    """A card that pulls a block each 5 ms, just after what comes then."""

    def __init__(self) -> None:
        self._line = PullLine(FMT)
        self._now_ns = 0
        self._seq = 0
        self._frame = 0
        self.playout = PulledPlayout(
            FMT, first_seq=0, first_time=0, target_ns=TARGET_NS, line=self._line, now_ns=0
        )

    def pull(self, turns: int = 1) -> bytes:
        out = b""
        for _ in range(turns):
            out += self.playout.pull(240, self._now_ns)
            self._line.pulled(240, self._now_ns)
            self._now_ns += 5 * MS
        return out

    def put(self, *, silence: bool = False) -> None:
        payload = b"" if silence else block(self._seq)
        self.playout.put(self._seq, self._frame, payload, self._now_ns, by_itself=True)
        self.lose()
        self._frame -= 240 * silence

    def lose(self) -> None:
        self._seq += 1
        self._frame += 240

    def play(self, turns: int) -> bytes:
        out = b""
        for _ in range(turns):
            self.put()
            out += self.pull()
        return out


def test_a_pause_ahead_of_blocks_that_wait_is_played_through() -> None:
    turns = Turns()
    turns.play(100)
    turns.put(silence=True)
    out = turns.play(100)
    assert turns.playout.state is State.PLAYING
    assert turns.playout.counters.concealed == 0
    assert block(150) in out


@pytest.mark.parametrize("told", [False, True])
def test_a_pause_of_the_source_conceals_nothing(told: bool) -> None:
    turns = Turns()
    turns.play(100)
    if told:
        turns.put(silence=True)
    turns.pull(400)
    waiting = turns.playout.state
    turns.play(100)
    assert (waiting, turns.playout.state) == (State.FILLING, State.PLAYING)
    assert turns.playout.counters.concealed == 0


def test_what_is_lost_in_an_outage_counts_once() -> None:
    turns = Turns()
    turns.play(100)
    for _ in range(200):
        turns.lose()
        turns.pull()
    turns.play(100)
    turns.playout.finish()
    counters = turns.playout.counters
    assert (counters.concealed, counters.lost) == (200, 200)
