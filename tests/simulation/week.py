"""A week of sessions in virtual time: who comes and goes, and what happens to them.

The sessions run through all of it, second by second. Blocks are sent in windows only, a
second every two hours and longer around events and where a 32-bit counter wraps;
between two windows the stream's counters jump by the time that has passed.
"""

from __future__ import annotations

import gc
import random
from bisect import bisect_right
from collections.abc import Callable
from functools import partial

from echowarp.wire.serial import SEQ_SPAN
from tests.simulation.week_sessions import (
    BLOCK_NS,
    DAY_NS,
    EVERY_TWO_HOURS,
    FMT,
    HOUR_NS,
    PLAYS_NS,
    STAYS_NS,
    WEEK_NS,
    WeekListener,
    WeekServer,
    Window,
)
from tests.simulator import MS, Clock, Network, S


class Week:
    """Builds it, runs it, and notes what is to be judged.

    Sequence numbers wrap on the fourth day, times on each.
    """

    def __init__(self, seed: int) -> None:
        self.clock, self.rng = Clock(), random.Random(seed)
        half = round(3.4 * DAY_NS) // BLOCK_NS
        first_time = self.rng.randrange(SEQ_SPAN)
        self.server = WeekServer(self.clock, self.rng, SEQ_SPAN - half, first_time)
        self.here: list[WeekListener] = []
        self.windows = self._windows(half, first_time)
        self._begins_ns = [window.begin_ns for window in self.windows]
        self.wrong: list[str] = []
        self.played: dict[str, int] = {}
        """Listeners that had every block of a window, by why there was one."""
        self.codes: list[int | None] = []
        """How connections of strangers and listeners ended."""
        self.heaps: list[tuple[int, int]] = []
        """At midnight, with at most the one who stays: objects, entries of the agenda."""
        self._numbers = iter(range(1, 1 << 30))

    def _windows(self, half: int, first_time: int) -> list[Window]:
        step = SEQ_SPAN // FMT.block_frames
        wraps = {(SEQ_SPAN - first_time) // FMT.block_frames + n * step for n in range(7)}
        special = {half: "sequence numbers wrap"} | dict.fromkeys(wraps, "times wrap")
        found = [
            self._window(k - 2 * S // BLOCK_NS, 4 * S, what)
            for k, what in special.items()
            if k * BLOCK_NS < WEEK_NS - HOUR_NS
        ]
        for n in range(1, 84):
            begin_ns = n * 2 * HOUR_NS + 10 * 60 * S
            if all(abs(begin_ns - each.begin_ns) > 60 * S for each in found):
                length_ns = 4 * S if n % 4 == 0 else S
                what = "events" if n % 4 == 0 else EVERY_TWO_HOURS
                found.append(self._window(begin_ns // BLOCK_NS, length_ns, what))
        return sorted(found, key=lambda each: each.begin_ns)

    @staticmethod
    def _window(first: int, length_ns: int, what: str) -> Window:
        begin_ns = first * BLOCK_NS
        return Window(begin_ns=begin_ns, end_ns=begin_ns + length_ns, what=what)

    @property
    def sounding(self) -> bool:
        """Whether blocks are sent now."""
        at = bisect_right(self._begins_ns, self.clock.now_ns) - 1
        return at >= 0 and self.clock.now_ns < self.windows[at].end_ns

    @property
    def next_sound_ns(self) -> int | None:
        """When they will be."""
        at = bisect_right(self._begins_ns, self.clock.now_ns)
        return self._begins_ns[at] if at < len(self.windows) else None

    def listener(self, host: str, *, password: str = "secret") -> WeekListener:
        """One more, who connects now."""
        network = Network(clock=self.clock, rng=self.rng, jitter_ns=2 * MS)
        listener = WeekListener(
            clock=self.clock,
            rng=self.rng,
            network=network,
            server=self.server,
            number=next(self._numbers),
            password=password,
            host=host,
            attempts=0,
            since_ns=self.clock.now_ns,
            sounding=lambda: self.sounding,
            next_sound_ns=lambda: self.next_sound_ns,
        )
        network.cut = lambda now_ns: now_ns < listener.cut_until_ns
        listener.connect()
        return listener

    # What happens.

    def comes(self, host: str, stays_ns: int) -> None:
        listener = self.listener(host)
        self.here.append(listener)
        listener.leaves_ns = self.clock.now_ns + stays_ns
        self.clock.at(listener.leaves_ns, partial(self.goes, listener))

    def goes(self, listener: WeekListener) -> None:
        self.here.remove(listener)
        self.codes += [ended.code for ended in listener.outcomes]
        if listener.misplaced:
            self.wrong.append(f"{listener.host}: {listener.misplaced} blocks were misplaced")
        (listener.leave if self.rng.random() < 0.7 else listener.vanish)()

    def moves(self, listener: WeekListener) -> None:
        """Another port, as after a NAT's rebinding."""
        listener.number = next(self._numbers)
        listener.disturbed_ns = self.clock.now_ns

    def cut(self, listener: WeekListener, length_ns: int) -> None:
        listener.cut_until_ns = self.clock.now_ns + length_ns

    def guesses(self, host: str) -> None:
        """Somebody tries a wrong password."""
        stranger = self.listener(host, password="guess")
        self.clock.at(
            self.clock.now_ns + 10 * S,
            lambda: self.codes.extend(ended.code for ended in stranger.outcomes),
        )

    def something(self) -> None:
        """Of the outages and moves, to one of those who are here."""
        if not self.here:
            return
        listener = self.rng.choice(self.here)
        if self.rng.random() < 0.5:
            self.moves(listener)
        else:
            self.cut(listener, self.rng.choice((3 * S, 20 * S, 90 * S)))

    # The windows.

    def sound(self, window: Window) -> None:
        """Blocks until its end; then who heard them?"""
        self.server.catch_up()
        for listener in self.here:
            listener.in_window = 0

        def send() -> None:
            if self.clock.now_ns >= window.end_ns:
                self.clock.at(self.clock.now_ns + 20 * MS, partial(self.judge, window))
                return
            self.server.send_marked()
            self.clock.at(self.clock.now_ns + BLOCK_NS, send)

        send()
        if window.what == "events" and self.here:
            victim = self.rng.choice(self.here)
            acts: tuple[Callable[[], None], ...] = (
                partial(self.moves, victim),
                victim.spend_server_datagrams,
                victim.spend_records,
            )
            act = acts[self.windows.index(window) // 4 % len(acts)]
            if victim.undisturbed(window):
                victim.disturbed_ns = window.begin_ns
                self.clock.at(window.begin_ns + S // 2, act)

    def judge(self, window: Window) -> None:
        blocks = (window.end_ns - window.begin_ns) // BLOCK_NS
        long = window.end_ns - window.begin_ns > 2 * S
        for listener in self.here:
            should = listener.undisturbed(window)
            heard = listener.in_window
            hit = listener.disturbed_ns >= window.begin_ns and listener.since_ns < window.begin_ns
            plays = self.clock.now_ns - listener.last_ns <= PLAYS_NS
            if should and heard != blocks:
                self.wrong.append(f"{window}: {listener.host} heard {heard} of {blocks}")
            elif hit and long and not plays:
                self.wrong.append(f"{window}: {listener.host} did not play on")
            elif should or (hit and long):
                self.played[window.what] = self.played.get(window.what, 0) + 1

    def midnight(self) -> None:
        gc.collect()
        self.heaps.append((len(gc.get_objects()), len(self.clock._agenda) - len(self.planned())))

    def planned(self) -> list[int]:
        """What is yet to come by plan."""
        return [due_ns for due_ns in self._plan_ns if due_ns > self.clock.now_ns]

    # All of it.

    def run(self) -> None:
        self._plan_ns: list[int] = []
        self._comes_at(STAYS_NS.start, "10.0.0.1", len(STAYS_NS))
        for window in self.windows:
            self._at(window.begin_ns, partial(self.sound, window))
            if window.what != EVERY_TWO_HOURS:
                for n in (1, 2):
                    begin_ns = window.begin_ns - 300 * S
                    self._comes_at(begin_ns, f"10.0.1.{n}", 600 * S)
        for n in range(120):
            begin_ns, stays_ns = self._when(), round(self.rng.expovariate(1 / (1500 * S))) + S
            if begin_ns % DAY_NS + stays_ns < DAY_NS - HOUR_NS:
                self._comes_at(begin_ns, f"10.1.{n % 16}.{n}", stays_ns)
        for _ in range(60):
            self._at(self._when(), self.something)
        for n in range(60):
            self._at(self._when(), partial(self.guesses, f"172.16.{n % 12}.1"))
        for day in range(1, 7):
            self._at(day * DAY_NS, self.midnight)
        self.clock.run_until(WEEK_NS + 600 * S)

    def _when(self) -> int:
        """A moment that is not near midnight."""
        day = self.rng.randrange(7)
        return day * DAY_NS + self.rng.randrange(HOUR_NS, DAY_NS - HOUR_NS)

    def _comes_at(self, due_ns: int, host: str, stays_ns: int) -> None:
        self._at(due_ns, partial(self.comes, host, stays_ns))

    def _at(self, due_ns: int, act: Callable[[], None]) -> None:
        self._plan_ns.append(due_ns)
        self.clock.at(due_ns, act)
