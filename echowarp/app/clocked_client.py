"""A client whose sound card is simulated: a real one's pace, and no sound.

`python -m echowarp.app.clocked_client ARGUMENTS`, those of a client whose sink is a
device. Prints, as JSON on standard output, how late the card's thread woke up. It is
part of --self_test, which needs a clocked sink on machines that have none.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from echowarp.app.interpreter import make_ready
from echowarp.app.run_client import run_client
from echowarp.config.argv import parse_command_line
from echowarp.device.pacing import Pacer
from echowarp.errors import EchoWarpError
from echowarp.media.format import Format
from echowarp.ui.logs import set_up_logging
from echowarp.ui.terminal import Terminal


class Lateness(NamedTuple):
    """How late a periodic thread woke up, nanoseconds: the median, and what 99 of 100
    wake-ups were below."""

    median_ns: int
    p99_ns: int


class SimulatedCard:
    """Takes a block of sound each time that one is due, on a thread of its own."""

    def __init__(self, fmt: Format) -> None:
        self._format = fmt
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._late_ns: list[int] = []

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """Begins to pull."""

        def run() -> None:
            try:
                self._run(pull)
            except BaseException as error:
                failed(error)

        self._thread = threading.Thread(target=run, name="card", daemon=True)
        self._thread.start()

    def delay_ns(self) -> int:
        """What it takes is heard at once."""
        return 0

    def stop(self) -> None:
        """Ends the thread. Idempotent."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def lateness(self) -> Lateness | None:
        """Of all wake-ups, once it has stopped; None where there were none."""
        late = sorted(self._late_ns)
        return Lateness(late[len(late) // 2], late[len(late) * 99 // 100]) if late else None

    def _run(self, pull: Callable[[int], bytes]) -> None:
        frames = self._format.block_frames
        pacer = Pacer(self._format.rate, now_ns=time.monotonic_ns, wait=self._stopped.wait)
        while (due_ns := pacer.next(frames)) is not None and not self._stopped.is_set():
            self._late_ns.append(time.monotonic_ns() - due_ns)
            pull(frames)


def main() -> int:
    """Runs the client. Returns its exit status."""
    cards: list[SimulatedCard] = []

    def open_card(fmt: Format) -> SimulatedCard:
        cards.append(SimulatedCard(fmt))
        return cards[-1]

    terminal = Terminal(sys.stderr, live=False)
    try:
        settings = parse_command_line(sys.argv[1:], os.environ).settings
        today = datetime.date.today()
        set_up_logging(terminal, verbose=True, quiet=False, error_file=False, today=today)
        make_ready()
        run_client(settings, terminal, open_card)
    except EchoWarpError as error:
        terminal.print(str(error))
        return error.exit_status
    finally:
        terminal.flush(1.0)
    lateness = cards[-1].lateness() if cards else None
    print(json.dumps(None if lateness is None else lateness._asdict()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
