"""A flood of one kind of line is cut, and its total told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from echowarp.ui import logs
from echowarp.ui.logs import MINUTE_S, MOST_A_MINUTE, Flood

START_S = 1_000.0


class Clock:
    """Timers that run out when they are told to."""

    daemon = False

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay_s: float, tell: Callable[..., None], args: tuple[Any, ...]) -> Clock:
        self.waiting.append((delay_s, lambda: tell(*args)))
        return self

    def start(self) -> None:
        """As a Timer does."""

    def run_out(self) -> None:
        """All that wait have waited long enough."""
        waiting, self.waiting = self.waiting, []
        for _, tell in waiting:
            tell()


class Shown(logging.Handler):
    """Keeps what would be shown."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(Flood(self))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def say(self, text: str, *args: object, at_s: float = 0.0) -> None:
        record = logging.LogRecord("echowarp", logging.WARNING, __file__, 1, text, args, None)
        record.created = START_S + at_s
        self.handle(record)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(logs, "Timer", made)
    return made


def test_a_hundred_lines_a_minute_are_shown(clock: Clock) -> None:
    shown = Shown()
    for minute in range(3):
        for n in range(MOST_A_MINUTE):
            shown.say("%s left", n, at_s=minute * MINUTE_S)
    assert len(shown.lines) == 3 * MOST_A_MINUTE
    assert clock.waiting == []


def test_more_are_told_as_a_total_without_another_line(clock: Clock) -> None:
    shown = Shown()
    for n in range(1_000):
        shown.say("%s left", n, at_s=n / 100)
    assert shown.lines == [f"{n} left" for n in range(MOST_A_MINUTE)]
    ((delay_s, _),) = clock.waiting
    assert delay_s == pytest.approx(MINUTE_S - 1)
    clock.run_out()
    assert shown.lines[-1] == "900 more like this within a minute: 100 left"
    shown.say("%s left", "the next", at_s=MINUTE_S)
    assert shown.lines[-1] == "the next left"


def test_a_flood_that_goes_on_is_told_each_minute(clock: Clock) -> None:
    shown = Shown()
    for minute in range(3):
        for n in range(500):
            shown.say("%s left", n, at_s=minute * MINUTE_S)
        clock.run_out()
    assert sum("400 more" in line for line in shown.lines) == 3
    assert len(shown.lines) == 3 * (MOST_A_MINUTE + 1)


def test_other_kinds_are_not_hidden(clock: Clock) -> None:
    shown = Shown()
    for n in range(500):
        shown.say("%s left", n)
    shown.say("banned")
    assert shown.lines[-1] == "banned"
