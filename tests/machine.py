"""How long the machine itself stands still, beside a measurement or a test.

python -m tests.machine ticks every 5 ms on each processor until its standard input ends,
then prints by how many ms its latest tick was late. It does nothing else, and before all others
where that is allowed, so whatever made it wait made everything else wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from tests.processes import ROOT
from tests.pulse import raise_priority

TICK_S = 0.005
MOST_STILL_MS = 5.0
"""A sound server and a program that wake up so late one after the other have used up the
10 ms that a card holds."""
TRIES = 3


class Machine:
    """Watches the machine while this is entered.

    late_ms: by how much its latest tick was late, after the exit.
    """

    def __init__(self) -> None:
        self.late_ms = 0.0

    def __enter__(self) -> Machine:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.machine"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        said, _ = self._process.communicate("")
        self.late_ms = float(said)


def on_a_steady_machine(act: Callable[[int], None]) -> None:
    """Does it, with the number of the attempt from 0; where an assertion of it fails while
    the machine itself stood still, which says nothing about sound cards, does it again."""
    for attempt in range(TRIES):
        machine = Machine()
        try:
            with machine:
                act(attempt)
            return
        except AssertionError:
            if attempt + 1 == TRIES or machine.late_ms <= MOST_STILL_MS:
                raise


def watch() -> None:
    """Ticks on each processor, for one of them may stand still alone; prints the latest."""
    raise_priority()
    ended = threading.Event()
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {None}
    with ThreadPoolExecutor(len(processors)) as pool:
        ticking = [pool.submit(_tick, processor, ended) for processor in processors]
        sys.stdin.read()
        ended.set()
        print(f"{1000 * max(each.result() for each in ticking):.3f}")


def _tick(processor: int | None, ended: threading.Event) -> float:
    """By how many seconds the latest tick of this thread was late, on one processor."""
    if processor is not None:
        os.sched_setaffinity(0, {processor})
    most_s, due_s = 0.0, time.monotonic() + TICK_S
    while not ended.is_set():
        time.sleep(max(0.0, due_s - time.monotonic()))
        late_s = time.monotonic() - due_s
        most_s = max(most_s, late_s)
        # Ticks that were missed are one wait, not many.
        due_s += TICK_S * (1 + late_s // TICK_S)
    return most_s


if __name__ == "__main__":
    watch()
