"""What is tried again when the machine itself stands still, and what is not."""

from __future__ import annotations

import pytest

from tests import machine
from tests.machine import MOST_STILL_MS, TRIES, Machine, on_a_steady_machine


def runs(monkeypatch: pytest.MonkeyPatch, still_ms: float, fails: int) -> list[int]:
    """The attempts at something that fails so many times on a machine that stands still for
    so long each time; with -1 at the end, it was given up."""
    attempts: list[int] = []

    class Known(Machine):
        def __enter__(self) -> Machine:
            return self

        def __exit__(self, *_: object) -> None:
            self.late_ms = still_ms

    def act(attempt: int) -> None:
        attempts.append(attempt)
        assert attempt >= fails, "a gap"

    monkeypatch.setattr(machine, "Machine", Known)
    try:
        on_a_steady_machine(act)
    except AssertionError as error:
        assert "a gap" in str(error)
        attempts.append(-1)
    return attempts


@pytest.mark.parametrize(
    ("still_ms", "fails", "attempts"),
    [
        (0.0, 0, [0]),
        (99.0, 0, [0]),
        (MOST_STILL_MS, 1, [0, -1]),
        (MOST_STILL_MS + 0.1, 1, [0, 1]),
        (99.0, TRIES - 1, [*range(TRIES)]),
        (99.0, TRIES, [*range(TRIES), -1]),
    ],
)
def test_only_a_failure_beside_a_standstill_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, still_ms: float, fails: int, attempts: list[int]
) -> None:
    assert runs(monkeypatch, still_ms, fails) == attempts


def test_the_machine_is_watched() -> None:
    with Machine() as watched:
        pass
    assert watched.late_ms >= 0.0
