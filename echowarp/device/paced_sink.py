"""Gives files and pipes a clock: their sound is pulled in real time, as a card does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from echowarp.device.pacing import Pacer
from echowarp.device.seams import PushedSink
from echowarp.media.format import NS_PER_S, Format

log = logging.getLogger(__name__)

MAX_BEHIND_NS = 5 * NS_PER_S
"""What was due longer ago is no longer kept by whoever is asked for it: silence keeps the
time of what is recorded. It also lets a machine breathe that is too slow for all it does."""
HELD_UP_NS = NS_PER_S // 20
"""A block so late was not late by chance: the machine or the reader stood still."""
SETTLE_SHARE = 4
"""Then others are let act first, for so small a part of the time in which they could not."""
TOLD_NS = NS_PER_S // 4
HURRY_S = 0.5


class PacedSink:
    """A PulledSink that writes what it pulls, block by block, from a thread of its own.

    open_pushed(format): opens what is written to; clock_ns: the monotonic clock; wait: as of
    Pacer, what `stop` interrupts unless given.

    Where the machine was busy or the reader is slow, it pulls later but not otherwise: all
    that is due at once, and `now_ns` then says when a block was due, so that whoever goes by
    that gives what they would have given in time. Only what was due longer than
    MAX_BEHIND_NS ago is silence.
    """

    def __init__(
        self,
        open_pushed: Callable[[Format], PushedSink],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._open_pushed = open_pushed
        self._clock_ns = clock_ns
        self._format: Format | None = None
        self._sink: PushedSink | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._wait = self._stopped.wait if wait is None else wait
        self._due_ns = 0
        self._is_behind = self._has_told = False

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
        pacer = Pacer(fmt.rate, now_ns=self._clock_ns, wait=self._wait, max_late_ns=MAX_BEHIND_NS)
        next_ns = None
        while (due_ns := pacer.next(fmt.block_frames)) is not None:
            if next_ns is not None and due_ns - next_ns > HELD_UP_NS:
                self._keep_time(sink, fmt, due_ns - next_ns)
            else:
                self._let_others_act(self._clock_ns() - due_ns)
            if self._stopped.is_set():
                return
            self._due_ns = due_ns
            sink.write(pull(fmt.block_frames))
            next_ns = due_ns + fmt.block_ns

    def _keep_time(self, sink: PushedSink, fmt: Format, missed_ns: int) -> None:
        """The pacer has given up what was due for so long."""
        log.warning(
            "what is recorded was held up: there is a silence of %.1f s in it",
            missed_ns / NS_PER_S,
        )
        left = fmt.ns_to_frames(missed_ns)
        while left and not self._stopped.is_set():
            frames = min(left, fmt.rate)
            sink.write(bytes(frames * fmt.frame_bytes))
            left -= frames

    def _let_others_act(self, late_ns: int) -> None:
        """What held this thread up may have held up those who read from the network: what
        came meanwhile is to be here before it is asked for."""
        if late_ns <= HELD_UP_NS:
            self._is_behind = False
        elif not self._is_behind:
            self._is_behind = True
            if late_ns > TOLD_NS and not self._has_told:
                self._has_told = True
                log.warning("what is recorded was held up for %.1f s", late_ns / NS_PER_S)
            self._wait(late_ns / SETTLE_SHARE / NS_PER_S)
