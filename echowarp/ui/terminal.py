"""The terminal: live rows below the log, never in its way.

Source of the control codes: ECMA-48 (carriage return, cursor up, erase in line and page).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Mapping
from typing import TextIO

from echowarp.ui.cells import cut

ERASE_REST = "\x1b[K"
ERASE_BELOW = "\x1b[J"
FLUSH_S = 0.5
FLUSH_STEP_S = 0.002


def wants_live_line(stream: TextIO, environ: Mapping[str, str], *, quiet: bool) -> bool:
    """Whether a live line may be drawn: on a terminal, unless asked not to."""
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return stream.isatty() and not plain and not quiet


MAX_WAITING = 1000
"""Pieces of text that may wait for a terminal that stands still; the rest is dropped."""


class Terminal:
    """Writes people's text to one stream, from any thread, and never waits for it: a
    thread of its own does. A terminal that stands still must not stop the sound."""

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._rows: tuple[str, ...] = ()
        """The live rows, as they are drawn; the cursor is behind the last."""
        self._pieces: queue.Queue[str] = queue.Queue(MAX_WAITING)
        self.live = live
        threading.Thread(target=self._run, name="terminal", daemon=True).start()

    @property
    def columns(self) -> int:
        """Characters that fit one line."""
        try:
            known = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            known = 0
        return known or shutil.get_terminal_size().columns

    @property
    def lines(self) -> int:
        """Rows that the terminal has."""
        try:
            known = os.get_terminal_size(self._stream.fileno()).lines
        except OSError:
            known = 0
        return known or shutil.get_terminal_size().lines

    @property
    def unicode(self) -> bool:
        """Whether the stream can show block characters."""
        return (self._stream.encoding or "").lower().replace("-", "") == "utf8"

    def show(self, *rows: str) -> None:
        """Draws the live rows anew, each on a line; nothing where there are none."""
        if not self.live:
            return
        with self._lock:
            columns = self.columns - 1
            drawn = tuple(cut(row, columns) for row in rows)
            # Written over what stands there: rows that are erased first flicker.
            text = "\n".join(f"{row}{ERASE_REST}" for row in drawn)
            rest = ERASE_BELOW if len(drawn) < len(self._rows) else ""
            self._put(f"{self._top()}{text}{rest}")
            self._rows = drawn

    def print(self, text: str) -> None:
        """Prints whole lines above the live rows."""
        with self._lock:
            if self._rows:
                # A line that wraps covers more than it replaces: all is erased first.
                drawn = "\n".join(self._rows)
                self._put(f"{self._top()}{ERASE_BELOW}{text}\n{drawn}")
            else:
                self._put(f"{text}\n")

    def clear(self) -> None:
        """Takes the live rows away, for good or until `show`."""
        with self._lock:
            if self._rows:
                self._put(f"{self._top()}{ERASE_BELOW}")
                self._rows = ()

    def _top(self) -> str:
        """Back to where the live rows begin."""
        up = len(self._rows) - 1
        return f"\r\x1b[{up}A" if up > 0 else "\r"

    def flush(self, seconds: float) -> None:
        """Waits at most so long until everything is written."""
        until = time.monotonic() + seconds
        while self._pieces.unfinished_tasks and time.monotonic() < until:
            time.sleep(FLUSH_STEP_S)

    def _put(self, text: str) -> None:
        # A full queue means that nobody has read for long: the text is dropped.
        with contextlib.suppress(queue.Full):
            self._pieces.put_nowait(text)

    def _run(self) -> None:
        while True:
            text = self._pieces.get()
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads us any more; sound matters more than words.
                self.live = False
            finally:
                self._pieces.task_done()


class TerminalHandler(logging.Handler):
    """Sends log records to a terminal's upper part."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record."""
        self._terminal.print(self.format(record))

    def flush(self) -> None:
        """Waits a little until what was printed is out."""
        self._terminal.flush(FLUSH_S)
