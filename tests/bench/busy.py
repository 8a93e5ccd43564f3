"""The program with Python threads beside it that never rest, at a given switch interval.

python -m tests.bench.busy THREADS INTERVAL_MS ARGUMENTS...
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from echowarp.app import interpreter
from echowarp.main import main


class Busy:
    """A thread that computes, in Python, for as long as this is entered."""

    def __init__(self) -> None:
        self._stopped = False
        self._thread = threading.Thread(target=self._compute, daemon=True)

    def _compute(self) -> None:
        total = 0
        while not self._stopped:
            for n in range(1000):
                total += n * n

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()


@contextlib.contextmanager
def busy(threads: int) -> Iterator[None]:
    """So many of them."""
    with contextlib.ExitStack() as stack:
        for _ in range(threads):
            stack.enter_context(Busy())
        yield


if __name__ == "__main__":
    interpreter.SWITCH_INTERVAL_S = float(sys.argv[2]) / 1000
    with busy(int(sys.argv[1])):
        sys.exit(main(sys.argv[3:]))
