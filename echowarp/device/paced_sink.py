"""Gives files and pipes a clock: their sound is pulled in real time, as a card does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from echowarp.device.pacing import Pacer
from echowarp.device.seams import PushedSink
from echowarp.media.format import NS_PER_S, Format

NEVER_NS = 10 * 365 * 86_400 * NS_PER_S
"""Whatever is late is pulled all the same: what is recorded keeps its time."""
HURRY_S = 0.5


class PacedSink:
    """A PulledSink that writes what it pulls, block by block, from a thread of its own.

    open_pushed(format): opens what is written to; clock_ns: the monotonic clock.

    Where the machine was busy or the reader is slow, it pulls later but not otherwise:
    `now_ns` then says when a block was due, and whoever goes by that gives what they would
    have given in time.
    """

    def __init__(
        self,
        open_pushed: Callable[[Format], PushedSink],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._open_pushed = open_pushed
        self._clock_ns = clock_ns
        self._format: Format | None = None
        self._sink: PushedSink | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._due_ns = 0

    def open(self, fmt: Format) -> PacedSink:
        """Opens what is written to. Raises what that raises."""
        self._format, self._sink = fmt, self._open_pushed(fmt)
        return self

    def now_ns(self) -> int:
        """While a block is pulled: when it was due."""
        return self._due_ns

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """Begins to pull, a block at a time."""

        def run() -> None:
            try:
                self._run(pull)
            except BaseException as error:
                failed(error)

        self._thread = threading.Thread(target=run, name="paced sink", daemon=True)
        self._thread.start()

    def delay_ns(self) -> int | None:
        """Nobody knows when a file is heard."""
        return None

    def stop(self) -> None:
        """Ends the pulling and completes the output. Idempotent. Raises what closing raises.

        A reader that takes nothing is not waited for.
        """
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(HURRY_S)
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()
        if self._thread is not None:
            self._thread.join(HURRY_S)

    def _run(self, pull: Callable[[int], bytes]) -> None:
        fmt, sink = self._format, self._sink
        assert fmt is not None and sink is not None
        pacer = Pacer(
            fmt.rate, now_ns=self._clock_ns, wait=self._stopped.wait, max_late_ns=NEVER_NS
        )
        while (due_ns := pacer.next(fmt.block_frames)) is not None:
            if self._stopped.is_set():
                return
            self._due_ns = due_ns
            sink.write(pull(fmt.block_frames))
