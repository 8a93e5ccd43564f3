"""Sets the log up, once."""

from __future__ import annotations

import datetime
import logging

from echowarp.ui.terminal import Terminal, TerminalHandler

ERROR_FILE = "echowarp_errors_{date}.log"


class _LineFormatter(logging.Formatter):
    """Time and text; the level only where it asks for attention."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        clock = self.formatTime(record, "%H:%M:%S")
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{clock} {level}{text}"


def set_up_logging(
    terminal: Terminal, *, verbose: bool, quiet: bool, error_file: bool, today: datetime.date
) -> None:
    """One handler for people; with `error_file` another one that keeps warnings
    and errors in echowarp_errors_DATE.log in the current folder.

    Raises OSError when that file cannot be opened.
    """
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    people = TerminalHandler(terminal)
    people.setFormatter(_LineFormatter())
    people.setLevel(level)
    root = logging.getLogger("echowarp")
    root.setLevel(min(level, logging.WARNING))
    root.propagate = False
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(people)
    if error_file:
        name = ERROR_FILE.format(date=today.isoformat())
        kept = logging.FileHandler(name, encoding="utf-8", errors="backslashreplace", delay=False)
        kept.setLevel(logging.WARNING)
        kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(kept)
