"""Single keys of a POSIX terminal: its modes, and who may read it when.

Source: POSIX.1-2017, chapter 11 "General Terminal Interface" (canonical mode, job
control); the escape sequences that keys send are those of ECMA-48.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import termios
from types import FrameType
from typing import Any

_MODES = 3
"""Where the local modes stand in what tcgetattr returns."""
_LINE_MODES = termios.ICANON | termios.ECHO
_READ_BYTES = 256
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]?|O.?|.?)", re.DOTALL)
"""Arrow and function keys, and letters pressed with Alt: none is ours."""

_LEAVING = (signal.SIGTSTP, signal.SIGQUIT, signal.SIGHUP)
"""Signals that stop or end the process by default: the terminal is left in order first."""


class TtyKeys:
    """The keys of the terminal `fd`, while this process is in its foreground.

    A background process that reads its terminal, or changes its modes, is stopped by the
    system: there nothing is touched. Coming to the foreground (`fg`) takes the keys up
    again. The main thread owns it. Ctrl+C stays the signal that it is.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None
        """The terminal's modes before ours; None while it has its own."""
        self._caught: list[int] = []
        # Between the look at who is in the foreground and a read, that may change: the
        # read then fails, where by default it would stop the process.
        self._before: dict[int, Any] = {
            signal.SIGTTIN: signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        }
        for number in _LEAVING:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._before[number] = signal.signal(number, self._catch)
        self._open = True

    def pressed(self) -> str:
        """The keys pressed since the last call, a character each."""
        while self._caught:
            self._leave(self._caught.pop(0))
        if not self._open or not self._in_foreground():
            return ""
        try:
            self._enter()
            if not select.select([self._fd], [], [], 0)[0]:
                return ""
            data = os.read(self._fd, _READ_BYTES)
        except (OSError, termios.error):
            return ""  # into the background just now, or gone
        return _ESCAPE.sub("", data.decode("utf-8", "ignore"))

    def close(self) -> None:
        """Leaves the terminal as it was. Idempotent; safe in a signal handler."""
        self._restore()
        self._open = False
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        # Acts when keys are next asked for: here the terminal may be half changed.
        self._caught.append(number)

    def _leave(self, number: int) -> None:
        """Does what the signal does by default, with the terminal in order. Returns after
        a stop, when the process goes on."""
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self._catch)

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False  # gone, or not our controlling terminal: its keys are for others

    def _enter(self) -> None:
        modes = termios.tcgetattr(self._fd)
        if not modes[_MODES] & _LINE_MODES:
            return
        if self._saved is None:
            self._saved = termios.tcgetattr(self._fd)
        modes[_MODES] &= ~_LINE_MODES
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        # Not after the output has drained: on a terminal that stands still, that is never.
        termios.tcsetattr(self._fd, termios.TCSANOW, modes)

    def _restore(self) -> None:
        if self._saved is None:
            return
        if self._in_foreground():
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
        self._saved = None
