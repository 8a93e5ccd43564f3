"""Starts threads and ends the program: no failure in any of them is swallowed."""

from __future__ import annotations

import threading
from collections.abc import Callable

JOIN_S = 1.5
"""How long the end waits for a thread; the rest are daemons and die with us."""


class Supervisor:
    """The threads of one run, and the one event that ends it."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    @property
    def stopping(self) -> bool:
        """Whether the run is about to end."""
        return self._stopped.is_set()

    @property
    def failed(self) -> bool:
        """Whether an error ends the run."""
        return self._error is not None

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Runs `target` on a thread of its own. What it raises ends the program."""

        def guarded() -> None:
            try:
                target()
            except BaseException as error:
                self.fail(error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        thread.start()
        return thread

    def fail(self, error: BaseException) -> None:
        """Ends the run with that error; the first one counts."""
        with self._lock:
            if self._error is None:
                self._error = error
        self._stopped.set()

    def stop(self) -> None:
        """Ends the run without an error."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Sleeps at most so long; True when the run is to end."""
        return self._stopped.wait(seconds)

    def join(self) -> None:
        """Waits a little for the threads. Call when each has been told to end."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def raise_error(self) -> None:
        """Raises what ended the run, if it was an error."""
        if self._error is not None:
            raise self._error
