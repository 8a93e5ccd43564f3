"""The terminal: a live line below the log, never in its way.

Source of the control codes: ECMA-48 (carriage return, erase in line).
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Mapping
from typing import TextIO

ERASE_LINE = "\r\x1b[K"


def wants_live_line(stream: TextIO, environ: Mapping[str, str], *, quiet: bool) -> bool:
    """Whether a live line may be drawn: on a terminal, unless asked not to."""
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return stream.isatty() and not plain and not quiet


class Terminal:
    """Writes people's text to one stream, from any thread."""

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._line = ""
        self.live = live

    @property
    def columns(self) -> int:
        """Characters that fit one line."""
        try:
            known = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            known = 0
        return known or shutil.get_terminal_size().columns

    @property
    def unicode(self) -> bool:
        """Whether the stream can show block characters."""
        return (self._stream.encoding or "").lower().replace("-", "") == "utf8"

    def show(self, line: str) -> None:
        """Draws the live line anew; nothing where there is none."""
        if not self.live:
            return
        with self._lock:
            self._line = line[: self.columns - 1]
            self._write(ERASE_LINE + self._line)

    def print(self, text: str) -> None:
        """Prints whole lines above the live line."""
        with self._lock:
            erase = ERASE_LINE if self._line else ""
            self._write(f"{erase}{text}\n{self._line}")

    def clear(self) -> None:
        """Takes the live line away, for good or until `show`."""
        with self._lock:
            if self._line:
                self._line = ""
                self._write(ERASE_LINE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads us any more; sound matters more than words.
            self.live = False
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()


class TerminalHandler(logging.Handler):
    """Sends log records to a terminal's upper part."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record."""
        self._terminal.print(self.format(record))
