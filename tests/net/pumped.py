"""Runs a pump of `net` on a thread of its own, and ends it with the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from tests.processes import wait_until


class Pumped:
    """Calls `run` on a thread until `stop` has had its effect."""

    def __init__(self, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self._stop = stop
        self._failure: BaseException | None = None

        def guarded() -> None:
            try:
                run()
            except BaseException as error:
                self._failure = error

        self.thread = threading.Thread(target=guarded, daemon=True)

    def __enter__(self) -> Pumped:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        wait_until(lambda: not self.thread.is_alive(), "the pump ends")
        if self._failure is not None:
            raise self._failure
