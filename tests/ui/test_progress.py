from __future__ import annotations

import pytest

from echowarp.ui.progress import clock, megabytes, render_progress


def test_a_line() -> None:
    line = render_progress("up", 50_000_000, 200_000_000, 2.0, unicode=False, columns=120)
    assert line == "up  ######------------------  25 %  50.0 MB  200 Mbit/s  0:06 left"


def test_nobody_knows_how_much_it_is() -> None:
    line = render_progress("down", 1_000_000, None, 1.0, unicode=True, columns=120)
    assert line == "down  1.0 MB  8 Mbit/s"


@pytest.mark.parametrize("done", [0, 5, 10, 11])
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_beginnings_and_ends(done: int, seconds: float) -> None:
    line = render_progress("up", done, 10, seconds, unicode=True, columns=120)
    assert line.count("█") == min(24, done * 24 // 10)
    assert f"{min(100, done * 10)} %" in line


@pytest.mark.parametrize("columns", range(1, 90))
def test_it_fits(columns: int) -> None:
    line = render_progress("up", 50, 100, 1.0, unicode=True, columns=columns)
    assert len(line) < columns


def test_nothing_of_nothing() -> None:
    assert render_progress("up", 0, 0, 1.0, unicode=True, columns=80) == "up  0 bytes  0 Mbit/s"


def test_numbers_for_people() -> None:
    assert [megabytes(n) for n in (0, 99_999, 100_000)] == ["0 bytes", "99999 bytes", "0.1 MB"]
    assert [clock(s) for s in (-1, 0.4, 61, 3725)] == ["0:00", "0:00", "1:01", "1:02:05"]
