from __future__ import annotations

import io
import sys

import pytest

from echowarp.ui.keys import ConsoleKeys, NoKeys, open_keys


class Console:
    """Windows' msvcrt, with these keys waiting."""

    def __init__(self, keys: str) -> None:
        self.waiting = list(keys)

    def kbhit(self) -> bool:
        return bool(self.waiting)

    def getwch(self) -> str:
        return self.waiting.pop(0)


def test_a_windows_console() -> None:
    """Arrows and function keys come as two characters, of which the second may look
    like a letter."""
    console = Console("vQ\xe0v+\x00q-")
    keys = ConsoleKeys(console)
    assert keys.pressed() == "vQ+-"
    assert keys.pressed() == ""
    console.waiting += "="
    assert keys.pressed() == "="
    keys.close()


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stdin", "taken"), [(io.StringIO("vq"), False), (Tty("vq"), True)])
def test_without_a_keyboard_standard_input_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO, taken: bool
) -> None:
    """It may be a pipe, or the sound itself."""
    monkeypatch.setattr(sys, "stdin", stdin)
    keys = open_keys(stdin_is_taken=taken)
    assert isinstance(keys, NoKeys)
    assert keys.pressed() == ""
    keys.close()
    assert stdin.read() == "vq"
