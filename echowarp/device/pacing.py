"""Real time for sources that have no clock of their own."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.media.format import NS_PER_S

MAX_LATE_NS = NS_PER_S
"""Lateness beyond this is a machine that slept or was stopped: nobody wants the burst."""


class Pacer:
    """Says when the next frames are due, from the first call on.

    Times are computed from the start and the number of frames so far, so no error
    adds up. Lateness up to `max_late_ns` is caught up without waiting; beyond it the
    schedule moves to now.

    rate: frames a second; now_ns: a monotonic clock; wait: sleeps the given seconds
    and returns whether to give up waiting.
    """

    def __init__(
        self,
        rate: int,
        *,
        now_ns: Callable[[], int],
        wait: Callable[[float], bool],
        max_late_ns: int = MAX_LATE_NS,
    ) -> None:
        self._rate = rate
        self._now_ns = now_ns
        self._wait = wait
        self._max_late_ns = max_late_ns
        self._start_ns: int | None = None
        self._frames = 0

    def next(self, frames: int) -> int | None:
        """Waits until the next `frames` frames are due.

        Returns the time in nanoseconds at which their first one was due, or None when
        told to give up.
        """
        now_ns = self._now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
        due_ns = self._start_ns + self._frames * NS_PER_S // self._rate
        while now_ns < due_ns:
            if self._wait((due_ns - now_ns) / NS_PER_S):
                return None
            now_ns = self._now_ns()
        late_ns = now_ns - due_ns
        if late_ns > self._max_late_ns:
            self._start_ns += late_ns
            due_ns = now_ns
        self._frames += frames
        return due_ns
