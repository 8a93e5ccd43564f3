from __future__ import annotations

from echowarp.device.pacing import Pacer

MS = 1_000_000


class Clock:
    """A clock that only moves while somebody waits, or by hand."""

    def __init__(self) -> None:
        self.ns = 5_000 * MS
        self.give_up = False

    def now_ns(self) -> int:
        return self.ns

    def wait(self, seconds: float) -> bool:
        self.ns += round(seconds * 1e9)
        return self.give_up


def make(clock: Clock, rate: int = 48000) -> Pacer:
    return Pacer(rate, now_ns=clock.now_ns, wait=clock.wait)


def test_the_first_block_is_due_at_once_and_each_next_after_the_one_before() -> None:
    clock = Clock()
    pacer = make(clock)
    assert [pacer.next(240) for _ in range(3)] == [5_000 * MS, 5_005 * MS, 5_010 * MS]
    assert clock.ns == 5_010 * MS


def test_no_error_adds_up_in_an_hour_of_a_rate_that_divides_badly() -> None:
    clock = Clock()
    pacer = make(clock, rate=44100)
    due = None
    blocks = 3600 * 44100 // 220
    for _ in range(blocks + 1):
        due = pacer.next(220)
    assert due == 5_000 * MS + blocks * 220 * 1_000_000_000 // 44100
    assert due is not None
    assert abs(clock.ns - due) < 1000


def test_lateness_up_to_a_second_is_caught_up_without_waiting() -> None:
    clock = Clock()
    pacer = make(clock)
    pacer.next(240)
    clock.ns += 900 * MS
    dues = [pacer.next(240) for _ in range(180)]
    assert dues[0] == 5_005 * MS
    assert dues[-1] == 5_900 * MS
    assert clock.ns == 5_900 * MS
    assert pacer.next(240) == 5_905 * MS


def test_a_machine_that_slept_makes_no_burst() -> None:
    clock = Clock()
    pacer = make(clock)
    pacer.next(240)
    clock.ns += 3_600_000 * MS
    woke = clock.ns
    assert pacer.next(240) == woke
    assert pacer.next(240) == woke + 5 * MS
    assert clock.ns == woke + 5 * MS


def test_told_to_give_up() -> None:
    clock = Clock()
    pacer = make(clock)
    pacer.next(240)
    clock.give_up = True
    assert pacer.next(240) is None
