"""Sets the log up, once."""

from __future__ import annotations

import datetime
import logging
import sys
from threading import Lock, Timer

from echowarp.ui.terminal import Terminal, TerminalHandler

MINUTE_S = 60.0
MOST_A_MINUTE = 100
"""As many listeners may come at once without a line being hidden."""
TOTAL = "%d more like this within a minute: %s"
ERROR_FILE = "echowarp_errors_{date}.log"


class Flood(logging.Filter):
    """Lets MOST_A_MINUTE records of one kind through each minute, and then their total.

    Of a kind are records with the same text before its arguments are filled in.
    handler: shows the totals, when the minute is over, whether more records come or not.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler
        self._lock = Lock()
        self._counts: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        kind = str(record.msg)
        with self._lock:
            since, count = self._counts.get(kind, (record.created, 0))
            if count <= MOST_A_MINUTE and record.created - since >= MINUTE_S:
                since, count = record.created, 0
            self._counts[kind] = (since, count + 1)
        if count == MOST_A_MINUTE:
            rest_s = max(0.0, since + MINUTE_S - record.created)
            timer = Timer(rest_s, self._tell, (kind, record))
            timer.daemon = True
            timer.start()
        return count < MOST_A_MINUTE

    def _tell(self, kind: str, first: logging.LogRecord) -> None:
        with self._lock:
            _, count = self._counts.pop(kind)
        hidden = count - MOST_A_MINUTE
        args = (hidden, first.getMessage())
        self._handler.handle(
            logging.LogRecord(
                first.name, first.levelno, first.pathname, first.lineno, TOTAL, args, None
            )
        )


class _ErrorFile(logging.FileHandler):
    """A file that may become unwritable; that is said once, and no traceback is."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Gives the file up."""
        log = logging.getLogger("echowarp")
        log.removeHandler(self)
        log.error("%s cannot be written any more: %s", self.baseFilename, sys.exc_info()[1])


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
    people.addFilter(Flood(people))
    root = logging.getLogger("echowarp")
    root.setLevel(min(level, logging.WARNING))
    root.propagate = False
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(people)
    if error_file:
        name = ERROR_FILE.format(date=today.isoformat())
        kept = _ErrorFile(name, encoding="utf-8", errors="backslashreplace", delay=False)
        kept.setLevel(logging.WARNING)
        kept.addFilter(Flood(kept))
        kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(kept)
