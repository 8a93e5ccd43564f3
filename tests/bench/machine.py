"""How long the machine itself stands still, beside a measurement.

python -m tests.bench.machine ticks every 5 ms until its standard input ends, then prints
by how many ms its latest tick was late. It does nothing else, so whatever made it wait
made everything else wait.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from types import TracebackType

from tests.processes import ROOT

TICK_S = 0.005


class Machine:
    """Watches the machine while this is entered.

    late_ms: by how much its latest tick was late, after the exit.
    """

    def __init__(self) -> None:
        self.late_ms = 0.0

    def __enter__(self) -> Machine:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.machine"],
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


def watch() -> None:
    """Ticks, and prints the latest."""
    waits_for_end = threading.Thread(target=sys.stdin.read, daemon=True)
    waits_for_end.start()
    most_s = 0.0
    due_s = time.monotonic() + TICK_S
    while waits_for_end.is_alive():
        time.sleep(max(0.0, due_s - time.monotonic()))
        late_s = time.monotonic() - due_s
        most_s = max(most_s, late_s)
        # Ticks that were missed are one wait, not many.
        due_s += TICK_S * (1 + late_s // TICK_S)
    print(f"{1000 * most_s:.3f}")


if __name__ == "__main__":
    watch()
