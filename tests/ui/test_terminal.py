"""What the terminal draws, as a terminal understands it."""

from __future__ import annotations

import io
import itertools
import random

from echowarp.ui.terminal import Terminal
from tests.app.tty import screen


def drawn(*shown: tuple[str, ...] | str) -> list[str]:
    """The screen after these live rows (a tuple) and log lines (a text), one by one."""
    stream = io.StringIO()
    terminal = Terminal(stream, live=True)
    for each in shown:
        if isinstance(each, str):
            terminal.print(each)
        else:
            terminal.show(*each)
    terminal.flush(5)
    written = stream.getvalue().replace("\n", "\r\n")
    return screen(written.encode(), terminal.columns)


def test_rows_are_drawn_over_one_another() -> None:
    assert drawn(("one", "two", "three"), ("1", "2", "3")) == ["1", "2", "3"]
    assert drawn(("one", "two"), ("1", "2", "3")) == ["1", "2", "3"]
    assert drawn(("one", "two", "three"), ("1",)) == ["1", "", ""]


def test_the_log_is_above_them() -> None:
    rows = ("one", "two")
    assert drawn("a", rows, "b", "c", rows) == ["a", "b", "c", "one", "two"]
    assert drawn(rows, "a\nb", ("1", "2", "3")) == ["a", "b", "1", "2", "3"]
    assert drawn(rows, "a", ()) == ["a", "", ""]


def test_a_long_line_of_the_log_leaves_nothing_of_the_rows() -> None:
    text = "".join(itertools.islice(itertools.cycle("abcdefg"), 205))
    assert drawn(("one" * 20, "two" * 20), text, ("1", "2")) == [
        text[:80],
        text[80:160],
        text[160:],
        "1",
        "2",
    ]


def test_rows_never_wrap() -> None:
    assert drawn(("x" * 200, "山" * 100), ("y" * 200,))[0] == "y" * 79


def test_any_order_leaves_a_whole_log_and_the_last_rows() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        steps: list[tuple[str, ...] | str] = []
        for n in range(30):
            rows = tuple(f"row {n} {k}" for k in range(chance.randrange(5)))
            steps.append(rows if chance.random() < 0.6 else f"line {n}" * chance.randrange(1, 20))
        steps.append(("the end",))
        log = "".join(each for each in steps if isinstance(each, str))
        got = [row for row in drawn(*steps) if row]
        assert "".join(got) == f"{log}the end"
