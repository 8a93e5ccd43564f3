"""Single keys of a terminal, without Enter.

Asked for, not waited for: whoever shows the live line looks for keys as often as that is
drawn, so no thread hangs in a read. Nothing is read where standard input is no terminal.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from echowarp.ui.commands import LineReader


class Keys(Protocol):
    """A keyboard, until it is closed."""

    def pressed(self) -> str:
        """The keys pressed since the last call, a character each."""

    def close(self) -> None:
        """Leaves the terminal as it was. Idempotent; safe in a signal handler."""


class NoKeys:
    """Where there is no keyboard, or standard input is wanted for something else."""

    def pressed(self) -> str:
        """Nothing."""
        return ""

    def close(self) -> None:
        """Nothing is to be done."""


class ConsoleKeys:
    """The keys of a Windows console, which needs no preparation. msvcrt: the module."""

    def __init__(self, msvcrt: Any) -> None:
        self._msvcrt = msvcrt

    def pressed(self) -> str:
        """The keys pressed since the last call."""
        keys = ""
        while self._msvcrt.kbhit():
            key = self._msvcrt.getwch()
            if key in "\x00\xe0":
                self._msvcrt.getwch()  # which arrow or function key: none is ours
            else:
                keys += key
        return keys

    def close(self) -> None:
        """Nothing is to be done."""


def open_lines() -> LineReader | None:
    """Commands from standard input that is no terminal, None where there is none."""
    try:
        if sys.stdin.isatty():
            return None
        return LineReader(sys.stdin.fileno())
    except (OSError, ValueError):
        return None  # closed


def open_keys(*, stdin_is_taken: bool) -> Keys:
    """The keyboard of this process. stdin_is_taken: standard input is a source of sound."""
    if stdin_is_taken or not sys.stdin.isatty():
        return NoKeys()
    if sys.platform == "win32":
        import msvcrt

        return ConsoleKeys(msvcrt)
    from echowarp.ui.tty_keys import TtyKeys

    return TtyKeys(sys.stdin.fileno())
