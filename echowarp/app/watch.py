"""The main thread while a server or a client runs: live line, statistics, signals."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Protocol

from echowarp.app.stats import StatsWriter
from echowarp.app.supervisor import Supervisor
from echowarp.media.format import NS_PER_S
from echowarp.ui.commands import Command, Typing
from echowarp.ui.keys import open_keys, open_lines
from echowarp.ui.status import View, render
from echowarp.ui.terminal import Terminal

NO_DEVICE = "no device"
"""The state while a device is away that was there."""

LIVE_EVERY_S = 0.1
QUIT_KEY = "q"
GOODBYE_S = 2.0
"""How long saying goodbye and completing files may take."""
STATS_EVERY_NS = NS_PER_S
RATE_WINDOW_NS = 2 * NS_PER_S
"""Bit rates and losses that are shown are those of the last two seconds."""


class Watched(Protocol):
    """What is shown of a server or a client."""

    def view(self, now_ns: int) -> View:
        """The live line's contents."""

    def stats(self, now_ns: int) -> Mapping[str, Any]:
        """The fields of a line of statistics but for the time."""


class RateMeter:
    """How fast a counter has grown lately."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()

    def per_second(self, count: int, now_ns: int) -> float:
        """Notes `count` and returns its growth a second over the last two seconds."""
        self._seen.append((now_ns, count))
        while now_ns - self._seen[0][0] > RATE_WINDOW_NS:
            self._seen.popleft()
        then_ns, before = self._seen[0]
        elapsed_ns = now_ns - then_ns
        return (count - before) * NS_PER_S / elapsed_ns if elapsed_ns else 0.0


class Signals:
    """SIGINT and SIGTERM ask for an end. Another one ends the process at once where the
    goodbye has taken longer than it may: they come in twos, to a process and to its group.

    A handler runs on the main thread between any two instructions, so it only sets
    a flag: an Event, whose lock that thread may hold already, could hang for ever.
    """

    def __init__(self) -> None:
        self._asked_s: float | None = None
        self.before_exit: Callable[[], None] = lambda: None
        """What must still be done when the process ends at once."""
        names = ("SIGINT", "SIGTERM", "SIGBREAK")
        self._numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        for number in self._numbers:
            signal.signal(number, self._caught)

    @property
    def asked(self) -> bool:
        """Whether the user wants an end."""
        return self._asked_s is not None

    def ask(self) -> None:
        """The user wants an end."""
        if self._asked_s is None:
            self._asked_s = time.monotonic()

    def done(self) -> None:
        """All is done that was to be: one that comes while Python takes itself apart must
        not change how this ends."""
        if self.asked:
            for number in self._numbers:
                signal.signal(number, signal.SIG_IGN)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        asked_s = self._asked_s
        if asked_s is not None and time.monotonic() - asked_s > GOODBYE_S:
            self.before_exit()
            os._exit(1)
        self.ask()


class Watch:
    """Draws the live line and looks for keys ten times a second, writes statistics once a
    second.

    stdin_is_taken: it is a source of sound, so keys are not read; on_key: told of each
    key but `q`, which ends the run as SIGINT does.
    """

    def __init__(
        self,
        watched: Watched,
        supervisor: Supervisor,
        terminal: Terminal,
        stats: StatsWriter | None,
        signals: Signals,
        *,
        stdin_is_taken: bool = False,
        on_key: Callable[[str], object] = lambda key: None,
        on_command: Callable[[Command], object] | None = None,
    ) -> None:
        self._signals = signals
        self._stdin_is_taken = stdin_is_taken
        self._on_key = on_key
        self._on_command = on_command
        self._typing = Typing()
        self._watched = watched
        self._supervisor = supervisor
        self._terminal = terminal
        self._stats = stats
        self._begun_ns = self._stats_due_ns = time.monotonic_ns()

    def until_stopped(self, on_turn: Callable[[], None] = lambda: None) -> None:
        """Returns when the run is to end. on_turn: called ten times a second."""
        keys = open_keys(stdin_is_taken=self._stdin_is_taken)
        lines = None
        if self._on_command is not None and not self._stdin_is_taken:
            lines = open_lines()
        self._signals.before_exit = keys.close
        try:
            while not self._signals.asked and not self._supervisor.wait(LIVE_EVERY_S):
                self._type(keys.pressed())
                for command in () if lines is None else lines.read():
                    self._obey(command)
                on_turn()
                self._show(time.monotonic_ns())
        finally:
            keys.close()
        self._supervisor.stop()
        self._terminal.clear()

    def _type(self, characters: str) -> None:
        if self._on_command is None:
            for key in characters:
                self._press(key.lower())
            return
        for typed in self._typing.typed(characters):
            if isinstance(typed, Command):
                self._obey(typed)
            else:
                self._press(typed)

    def _obey(self, command: Command) -> None:
        assert self._on_command is not None
        self._on_command(command)

    def _press(self, key: str) -> None:
        if key == QUIT_KEY:
            self._signals.ask()
        else:
            self._on_key(key)

    def _show(self, now_ns: int) -> None:
        if self._terminal.live:
            view = self._watched.view(now_ns)
            columns = self._terminal.columns
            *people, line = render(
                view,
                unicode=self._terminal.unicode,
                columns=columns,
                lines=self._terminal.lines,
            )
            self._terminal.show(*people, self._typing.line[1 - columns :] or line)
        if now_ns >= self._stats_due_ns:
            # After a suspend one line is written, not all that are overdue.
            self._stats_due_ns = max(self._stats_due_ns + STATS_EVERY_NS, now_ns)
            self._write(now_ns)

    def close(self) -> None:
        """Writes the final counters, when all threads have ended."""
        if self._stats is not None:
            self._write(time.monotonic_ns())
            self._stats.close()

    def _write(self, now_ns: int) -> None:
        if self._stats is not None:
            seconds = round((now_ns - self._begun_ns) / NS_PER_S, 3)
            self._stats.write({"time": seconds, **self._watched.stats(now_ns)})
