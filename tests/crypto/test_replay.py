from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.replay import ReplayWindow

TOP = 2**64 - 1
LIMIT = 2**20


class SlowWindow:
    """The window as the protocol words it: a set of all numbers ever taken."""

    def __init__(self, max_ahead: int | None) -> None:
        self.taken: set[int] = set()
        self.max_ahead = max_ahead

    @property
    def highest(self) -> int:
        return max(self.taken, default=-1)

    def is_new(self, number: int) -> bool:
        if number in self.taken or number < self.highest - 1023:
            return False
        return self.max_ahead is None or number <= self.highest + self.max_ahead


# Steps from the highest number: mostly near, sometimes about an edge, sometimes wild.
STEPS = st.one_of(
    st.integers(-20, 20),
    st.integers(-1030, -1015),
    st.integers(1015, 1030),
    st.integers(-3000, 3000),
    st.sampled_from([LIMIT - 1, LIMIT, LIMIT + 1, 2**40, -(2**40), 2**63]),
)


@given(st.lists(STEPS, max_size=120), st.sampled_from([None, LIMIT]))
def test_same_as_the_slow_model(steps: list[int], max_ahead: int | None) -> None:
    window, model = ReplayWindow(max_ahead), SlowWindow(max_ahead)
    for step in steps:
        number = min(max(0, model.highest + step), TOP)
        assert window.is_new(number) == model.is_new(number)
        if model.is_new(number):
            window.accept(number)
            model.taken.add(number)
        assert window.highest == model.highest
        assert not window.is_new(number)


@given(st.permutations(range(12)))
def test_any_order_is_taken_once(order: list[int]) -> None:
    window = ReplayWindow()
    for number in order:
        assert window.is_new(number)
        window.accept(number)
    assert not any(window.is_new(number) for number in order)


def test_starts_before_zero() -> None:
    window = ReplayWindow()
    assert window.highest == -1
    assert window.is_new(0)
    window.accept(0)
    assert window.highest == 0


def test_the_window_holds_1024_numbers() -> None:
    window = ReplayWindow()
    window.accept(5000)
    assert window.is_new(5000 - 1023)
    assert not window.is_new(5000 - 1024)
    window.accept(5000 - 1023)
    assert not window.is_new(5000 - 1023)
    assert window.highest == 5000
    # One further, and the oldest leaves the window: it must not come back as new.
    window.accept(5001)
    assert not window.is_new(5000 - 1023)


def test_asking_changes_nothing() -> None:
    window = ReplayWindow()
    assert window.is_new(TOP)
    assert window.highest == -1
    assert window.is_new(0)


def test_the_limit_ahead() -> None:
    window = ReplayWindow(LIMIT)
    assert window.is_new(LIMIT - 1)
    assert not window.is_new(LIMIT)
    window.accept(10)
    assert window.is_new(10 + LIMIT)
    assert not window.is_new(11 + LIMIT)
    assert not window.is_new(TOP)


def test_a_jump_to_the_end_costs_no_memory() -> None:
    window = ReplayWindow()
    window.accept(7)
    window.accept(TOP)
    assert window.highest == TOP
    assert not window.is_new(TOP)
    assert window.is_new(TOP - 1023)
    assert not window.is_new(7)


def test_the_window_stays_small() -> None:
    window = ReplayWindow()
    for number in range(0, 40_000, 3):
        window.accept(number)
    assert window._seen.bit_length() <= 1024


def test_accepting_what_is_too_old_is_our_bug() -> None:
    window = ReplayWindow()
    window.accept(2000)
    with pytest.raises(AssertionError):
        window.accept(2000 - 1024)
