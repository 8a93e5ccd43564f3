"""Virtual time, and a network in it."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MS = 1_000_000
S = 1_000 * MS


class Clock:
    """Virtual time and what is to happen in it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._order = itertools.count()
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []

    def at(self, due_ns: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(due_ns, self.now_ns), next(self._order), action))

    def run_until(self, end_ns: int) -> None:
        while self._agenda and self._agenda[0][0] <= end_ns:
            self.now_ns, _, action = heapq.heappop(self._agenda)
            action()
        self.now_ns = end_ns


@dataclass(kw_only=True)
class Network:
    """One path. Times in ns; loss from 0 to 1; cut(now) is True during an outage."""

    clock: Clock
    rng: random.Random
    delay_ns: int = 1 * MS
    jitter_ns: int = 0
    loss: float = 0.0
    duplicates: float = 0.0
    cut: Callable[[int], bool] = lambda now_ns: False

    def __post_init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def datagram(self, deliver: Callable[[], None]) -> None:
        if self.cut(self.clock.now_ns) or self.rng.random() < self.loss:
            return
        for _ in range(1 + (self.rng.random() < self.duplicates)):
            jitter = self.rng.randrange(self.jitter_ns + 1)
            self.clock.at(self.clock.now_ns + self.delay_ns + jitter, deliver)

    def stream(self, deliver: Callable[[], None]) -> None:
        """TCP: nothing is lost; in an outage it waits, in order."""

        def arrive() -> None:
            self._waiting.append(deliver)
            if len(self._waiting) == 1:
                self._pass_on()

        self.clock.at(self.clock.now_ns + self.delay_ns, arrive)

    def _pass_on(self) -> None:
        if self.cut(self.clock.now_ns):
            self.clock.at(self.clock.now_ns + 100 * MS, self._pass_on)
            return
        while self._waiting:
            self._waiting[0]()
            self._waiting.popleft()
