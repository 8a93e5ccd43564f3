"""A clock that stands still until the next appointment: an hour as fast as it can be counted."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class VirtualTime:
    """What is due, in order of time; what is due at the same time, as it was agreed.

    now_ns: the time, from 0 on, nanoseconds.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._agenda: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._stopped = False

    def at(self, due_ns: int, act: Callable[..., None], *arguments: Any) -> None:
        """Calls `act` with the arguments when it is `due_ns`."""
        heapq.heappush(self._agenda, (due_ns, next(self._order), act, arguments))

    def stop(self) -> None:
        """Ends `run`, for good."""
        self._stopped = True

    def run(self, end_ns: int) -> None:
        """Lets the time pass, until `end_ns` at most, until `stop`, or until nothing is
        due any more."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= end_ns and not self._stopped:
            self.now_ns, _, act, arguments = heapq.heappop(agenda)
            act(*arguments)
