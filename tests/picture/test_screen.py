from __future__ import annotations

import pytest

from tests.picture.screen import Screen


def test_lines_and_a_live_line_drawn_anew() -> None:
    screen = Screen(40)
    screen.feed("one\r\ntwo\r\n\r\x1b[Klive 1\r\x1b[Klive")
    screen.feed("\r\x1b[Kthree\nlive 2")
    assert screen.rows == ["one", "two", "three", "     live 2"]


def test_erasing_keeps_what_stands_before_the_cursor() -> None:
    screen = Screen(40)
    screen.feed("abcdef\rab\x1b[K")
    assert screen.rows == ["ab"]


def test_a_long_line_is_wrapped() -> None:
    screen = Screen(4)
    screen.feed("abcdefghij")
    assert screen.rows == ["abcd", "efgh", "ij"]


def test_an_unknown_control_code_is_an_error() -> None:
    with pytest.raises(ValueError, match="x1b"):
        Screen(4).feed("\x1b[2J")
